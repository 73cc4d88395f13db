"""Unit tests of ``phpgw/outgoing``."""
