"""Unit tests of ``phpgw/relay``."""
