"""Real processes for end-to-end tests: PHP-FPM, Nginx, the gateway, a browser and their clients."""
