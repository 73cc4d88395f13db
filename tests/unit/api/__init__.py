"""Unit tests of ``phpgw/api``."""
