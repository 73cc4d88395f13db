"""Fencing: a node that was declared dead lets go of the clients that PHP believes to have left.

They are closed a few at a time, so that they do not all connect anew at once. From the beginning,
nothing that they send reaches PHP any more.
"""

from collections.abc import Callable, Collection
from math import ceil
from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from phpgw.hub.client import Client
from phpgw.time_slices import Steps, TimeSlices

# Seconds in which all are closed, and between two steps.
_SECONDS = 10
_STEP_INTERVAL = 0.1
_MIN_PER_STEP = 10
# "Service Restart", of the registry of RFC 6455, section 11.7: the client may connect anew.
_SERVICE_RESTART = 1012
_REASON = "the gateway was cut off"


class FencedConnection(Protocol):
    """A connection that can be fenced.

    :ivar client: the client of the connection.
    """

    client: Client

    def stop_reading(self) -> None:
        """Stop reading from the peer for good; messages that were read are still handled."""

    def close(self, code: int, reason: str, cause: str = "command") -> None:
        """Start the closing handshake, unless it has started already."""


class Fencing:
    """Closes the clients that this node had when it was declared dead.

    It is a :class:`phpgw.cluster.members.MemberObserver`.

    :param connections: returns all connections.
    :param discard_events: drops what a client has sent and PHP was not asked about.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        slices: TimeSlices,
        connections: Callable[[], Collection[FencedConnection]],
        discard_events: Callable[[Client], None],
    ) -> None:
        self._slices = slices
        self._connections = connections
        self._discard_events = discard_events
        self._fenced: list[FencedConnection] = []
        self._per_step = 0
        self._closing = LoopingCall(self._close_next)
        self._closing.clock = reactor

    def left(self, node_id: str) -> None:
        """Do nothing: the clients of other nodes are theirs."""

    def renamed(self, before: str) -> None:
        """Stop reading from all clients, and begin to close them."""
        self._fenced = list(self._connections())
        self._per_step = max(_MIN_PER_STEP, ceil(len(self._fenced) * _STEP_INTERVAL / _SECONDS))
        self._slices.run(self._silence(list(self._fenced)), begins_now=True)
        if not self._closing.running:
            self._closing.start(_STEP_INTERVAL)

    def _silence(self, connections: Collection[FencedConnection]) -> Steps[None]:
        for connection in connections:
            connection.stop_reading()
            self._discard_events(connection.client)
            yield

    def _close_next(self) -> None:
        """Close some connections."""
        closing, self._fenced = self._fenced[: self._per_step], self._fenced[self._per_step :]
        for connection in closing:
            connection.close(_SERVICE_RESTART, _REASON, "cut_off")
        if not self._fenced:
            self._closing.stop()
