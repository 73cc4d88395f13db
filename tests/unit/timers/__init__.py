"""Unit tests of ``phpgw/timers``."""
