"""The backend for PHP-FPM over FastCGI."""
