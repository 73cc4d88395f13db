"""A WebSocket gateway for PHP: it holds the connections of clients, and asks PHP-FPM."""

__version__ = "0.1.0"
