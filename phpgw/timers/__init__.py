"""Timers: when PHP gets a ``timer`` event."""
