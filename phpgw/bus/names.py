"""The full names of channels and keys on the bus."""

import attrs

# The version of what is kept there. Gateways with another one do not see each other.
_VERSION = 1


@attrs.frozen
class BusNames:
    """The full names for an application: with its prefix, and the version of the layout.

    :ivar channels: what channels begin with, like ``phpgw:1:``.
    :ivar keys: what keys begin with, like ``{phpgw:1}:``. The braces keep them together where
        keys are spread over servers.
    """

    channels: bytes
    keys: bytes

    @classmethod
    def of(cls, prefix: str) -> "BusNames":
        """Return the names of an application.

        :param prefix: as in ``--bus-prefix``.
        """
        name = f"{prefix}:{_VERSION}"
        return cls(f"{name}:".encode(), f"{{{name}}}:".encode())
