"""Tests of the project: its structure, documents, packages and tools."""
