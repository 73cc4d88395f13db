"""Pools for any protocol: connections that are opened ahead of time, and used once."""
