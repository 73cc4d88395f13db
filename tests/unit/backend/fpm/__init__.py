"""Unit tests of ``phpgw/backend/fpm``."""
