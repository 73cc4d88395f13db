"""Unit tests of ``phpgw/pools/redis``."""
