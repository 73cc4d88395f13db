"""The HTTP server that browsers and PHP connect to."""
