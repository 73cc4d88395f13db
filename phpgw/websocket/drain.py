"""The drain: when the gateway stops, it closes its connections a few at a time.

Clients reconnect at once. If all connections were closed together, the next server would get all
handshakes together.
"""

from collections.abc import Callable, Collection, Hashable
from math import ceil
from typing import Protocol

from twisted.logger import Logger

from phpgw.hub.client import Client
from phpgw.log_limit import line_limit
from phpgw.time_slices import Steps

# Seconds between two steps.
STEP_INTERVAL = 0.1
# Connections per step, if the time is long enough: 100 in a second.
_MIN_PER_STEP = 10
# The part of the time for these steps. In the rest, PHP replies to the last messages.
_TIME_SHARE = 0.8
_GOING_AWAY = 1001
_REASON = "the gateway stops"


class DrainingConnection(Hashable, Protocol):
    """A connection that can be drained.

    :ivar client: the client of the connection.
    """

    client: Client

    @property
    def is_busy(self) -> bool:
        """Return whether an event of its client waits or runs, or data was read and not parsed."""

    def stop_reading(self) -> None:
        """Stop reading from the peer for good; messages that were read are still handled."""

    def close(self, code: int, reason: str, cause: str = "command") -> None:
        """Start the closing handshake, unless it has started already."""


class Drain:
    """Closes connections step by step, also those that are opened in the meantime.

    In its step, a connection stops reading. It is closed once PHP has replied to all messages that
    were read. Until its step, nothing changes for a connection.

    :param connections: returns all connections; those that are closing may be among them.
    :param seconds: the time for all connections.
    """

    log = Logger(observer=line_limit)

    def __init__(
        self, connections: Callable[[], Collection[DrainingConnection]], seconds: float
    ) -> None:
        steps = max(1, int(_TIME_SHARE * seconds / STEP_INTERVAL))
        self._connections = connections
        self._per_step = max(_MIN_PER_STEP, ceil(len(connections()) / steps))
        self._started: set[DrainingConnection] = set()
        self._finishing: list[DrainingConnection] = []

    def close_next(self) -> Steps[bool]:
        """Start to close the next connections, and close earlier ones that are no longer busy.

        :returns: whether connections are left.
        """
        remaining = [
            connection for connection in self._connections() if connection not in self._started
        ]
        starting = remaining[: self._per_step]
        self._started.update(starting)
        finishing = []
        for connection in self._finishing + starting:
            if not self._close_if_idle(connection):
                finishing.append(connection)
            yield
        self._finishing = finishing
        return bool(finishing) or len(remaining) > len(starting)

    def close_rest(self) -> Steps[None]:
        """Close all connections that are left, busy or not, since the time is over."""
        busy = [connection.client for connection in self._connections() if connection.is_busy]
        if busy:
            self.log.warn(
                "PHP has not answered {clients} clients in time (--drain-timeout); {messages} "
                "messages of theirs have not even reached it",
                clients=len(busy),
                messages=sum(len(client.inbox) for client in busy),
            )
        for connection in self._connections():
            connection.close(_GOING_AWAY, _REASON, "stop")
            yield

    def _close_if_idle(self, connection: DrainingConnection) -> bool:
        """Close a connection unless it is busy; return whether it was closed."""
        if connection.is_busy and connection.client.is_connected():
            # In each step: a pending connection ignores this until it is open.
            connection.stop_reading()
            return False
        connection.close(_GOING_AWAY, _REASON, "stop")
        return True
