"""The gateway's own PHP-FPM."""
