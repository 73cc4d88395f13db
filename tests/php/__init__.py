"""Tests of the PHP library and its examples."""
