"""Unit tests of ``phpgw/web``."""
