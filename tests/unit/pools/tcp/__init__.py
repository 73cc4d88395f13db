"""Unit tests of ``phpgw/pools/tcp``."""
