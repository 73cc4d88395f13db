"""The way of commands to upstreams: servers that the gateway is connected to as a client."""

from typing import Protocol

from phpgw.hub.commander import Result
from phpgw.hub.commands import Command

UPSTREAM_NOT_FOUND = "upstream not found"


class UpstreamSockets(Protocol):
    """The outgoing WebSockets of this process; see :mod:`phpgw.outgoing`."""

    def run(self, command: Command) -> Result:
        """Carry out a command for an upstream."""


class UpstreamCommands:
    """Carries out the commands for upstreams.

    :ivar sockets: carries them out; ``None`` if the gateway has no upstreams.
    """

    def __init__(self) -> None:
        self.sockets: UpstreamSockets | None = None

    def run(self, command: Command) -> Result:
        """Carry out a command for an upstream."""
        if self.sockets is None:
            return Result(0, UPSTREAM_NOT_FOUND)
        return self.sockets.run(command)
