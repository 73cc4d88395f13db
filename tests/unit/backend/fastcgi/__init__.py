"""Unit tests of ``phpgw/backend/fastcgi``."""
