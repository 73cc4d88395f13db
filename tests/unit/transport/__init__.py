"""Unit tests of ``phpgw/transport``."""
