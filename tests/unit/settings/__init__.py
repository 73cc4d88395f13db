"""Unit tests of ``phpgw/settings``."""
