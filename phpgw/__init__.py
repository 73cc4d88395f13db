"""phpgw holds WebSocket connections on behalf of PHP code that runs under PHP-FPM."""

__version__ = "0.1.0"
