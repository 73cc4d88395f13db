"""Sockets below all protocols: written at once, and dispatched when they are ready."""
