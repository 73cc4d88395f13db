"""The probes of ``phpgw check``: each room looks at one thing, and says what it finds.

No room needs a reactor. ``situation.py`` has what the probes know of the gateway.
"""
