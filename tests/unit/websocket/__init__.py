"""Unit tests of ``phpgw/websocket``."""
