"""Pools of connections to Redis or Valkey."""
