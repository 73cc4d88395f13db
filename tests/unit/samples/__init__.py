"""Tests for :mod:`phpgw.samples`."""
