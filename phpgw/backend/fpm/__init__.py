"""An own PHP-FPM, and the configuration of an installed one."""
