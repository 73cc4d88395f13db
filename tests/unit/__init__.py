"""Unit tests: one file per room, no real processes."""
