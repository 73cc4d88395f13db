"""PHP-FPM over FastCGI, with no web server in between."""
