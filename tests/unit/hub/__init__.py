"""Unit tests of ``phpgw/hub``."""
