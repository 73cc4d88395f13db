"""Unit tests of ``phpgw/backend``."""
