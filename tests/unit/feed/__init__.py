"""Unit tests of ``phpgw/feed``."""
