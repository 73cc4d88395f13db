"""Unit tests of ``phpgw/history``."""
