"""The upstream and its backends: PHP over HTTP, over FastCGI, and as an own PHP-FPM."""
