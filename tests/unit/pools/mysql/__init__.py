"""Unit tests of ``phpgw/pools/mysql``."""
