"""Unit tests of ``phpgw/bus``."""
