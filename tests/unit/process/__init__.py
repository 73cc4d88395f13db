"""Unit tests of ``phpgw/process``."""
