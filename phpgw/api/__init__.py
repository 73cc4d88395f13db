"""The HTTP API for PHP code."""
