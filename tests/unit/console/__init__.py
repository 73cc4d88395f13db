"""Unit tests of ``phpgw/console``."""
