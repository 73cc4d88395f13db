"""Unit tests of ``phpgw/pools/postgres``."""
