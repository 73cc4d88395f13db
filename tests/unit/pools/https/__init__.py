"""Unit tests of ``phpgw/pools/https``."""
