"""Upstreams: servers that the gateway is connected to as a client; and which gateway has each."""

from collections.abc import Collection
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


class UpstreamHolder(Protocol):
    """The holder of the connections to upstreams."""

    def hold(self, name: str, definition: str | None, fence: int) -> None:
        """Be connected to an upstream from now on.

        :param definition: what PHP has said of it; ``None`` if the settings name it.
        :param fence: grows each time that another gateway, or this one again, holds it; 0 if there
            is no other.
        """

    def release(self, name: str) -> None:
        """End the connection to an upstream at once, since another gateway may hold it."""


class UpstreamLeases(Protocol):
    """Decides which of several gateways holds each upstream."""

    def start(self, holder: UpstreamHolder, names: Collection[str]) -> None:
        """Begin to hold upstreams.

        :param names: those of the settings, the same for all gateways.
        """

    def stop(self) -> None:
        """Hold none any longer, so that others do."""

    def define(self, name: str, definition: str | None) -> str | None:
        """Let an upstream be held, here or elsewhere.

        :param definition: what PHP has said of it; ``None`` if the settings name it.
        :returns: why that cannot be done; ``None`` if it can.
        """

    def is_here(self, name: str) -> bool:
        """Return whether this gateway holds an upstream."""

    def end(self, name: str) -> None:
        """Let an upstream that is held here be held by nobody, until it is defined again."""

    def finished(self, name: str) -> None:
        """Forget an upstream whose only connection has ended, unless it was defined anew."""

    @property
    def count(self) -> int:
        """Return how many upstreams there are, here and elsewhere, as far as is known."""


class OnlyHolder:
    """The leases of a gateway that is alone: it holds all at once."""

    def __init__(self) -> None:
        self._holder: UpstreamHolder | None = None
        self._names: set[str] = set()

    def start(self, holder: UpstreamHolder, names: Collection[str]) -> None:
        """Hold those of the settings."""
        self._holder = holder
        for name in names:
            self.define(name, None)

    def stop(self) -> None:
        """Do nothing: there are no others."""

    def define(self, name: str, definition: str | None) -> None:
        """Hold an upstream."""
        assert self._holder is not None
        self._names.add(name)
        self._holder.hold(name, definition, 0)

    def is_here(self, name: str) -> bool:
        """Return whether there is such an upstream."""
        return name in self._names

    def end(self, name: str) -> None:
        """Forget an upstream."""
        self._names.discard(name)

    def finished(self, name: str) -> None:
        """Forget an upstream."""
        self._names.discard(name)

    @property
    def count(self) -> int:
        """Return how many upstreams there are."""
        return len(self._names)
