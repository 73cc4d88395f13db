"""Unit tests of ``phpgw/backend/http``."""
