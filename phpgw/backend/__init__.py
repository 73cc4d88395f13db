"""Backends: the ways to PHP, over HTTP, over FastCGI, and to a PHP-FPM of the gateway's own."""
