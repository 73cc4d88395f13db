"""Sending the clients away when the gateway stops: a few at a time, each after its last message.

All of them will come back at once to where they are sent, and each is to find room there.
"""

from collections.abc import Callable, Collection, Hashable
from math import ceil
from typing import Protocol

from twisted.logger import Logger

from phpgw.hub.client import Client
from phpgw.log_limit import line_limit
from phpgw.time_slices import Steps

# Seconds from one step to the next.
STEP_SECONDS = 0.1
# How many are sent away in a step, if there is time enough; so a hundred in a second.
_FEW = 10
# How much of the time is for that; the rest is PHP's, for what the last of them have said.
_SHARE = 0.8
_GOING_AWAY = 1001
_REASON = "the gateway stops"


class DrainingConnection(Hashable, Protocol):
    """A connection, and whose it is."""

    client: Client

    @property
    def is_busy(self) -> bool:
        """Return whether PHP works for it, or will with what was read from it."""

    def stop_reading(self) -> None:
        """Read no further messages from the peer at all."""

    def close(self, code: int, reason: str) -> None:
        """Start the closing handshake, unless that has been done."""


class Drain:
    """Sends away those who are there, and those who come meanwhile.

    Until it is a client's turn to go, all is as ever. From then on nothing more is read from it,
    and it is sent away once PHP has answered all that has been read.

    :param connections: tells who is there, also of those that have been sent away already.
    :param seconds: how long it may take for all.
    """

    log = Logger(observer=line_limit)

    def __init__(
        self, connections: Callable[[], Collection[DrainingConnection]], seconds: float
    ) -> None:
        steps = max(1, int(_SHARE * seconds / STEP_SECONDS))
        self._connections = connections
        self._pace = max(_FEW, ceil(len(connections()) / steps))
        self._seen: set[DrainingConnection] = set()
        self._finishing: list[DrainingConnection] = []

    def close_next(self) -> Steps[bool]:
        """Send the next few away.

        :returns: whether there are others.
        """
        waiting = [connection for connection in self._connections() if connection not in self._seen]
        going = waiting[: self._pace]
        self._seen.update(going)
        finishing = []
        for connection in self._finishing + going:
            if not self._close_if_idle(connection):
                finishing.append(connection)
            yield
        self._finishing = finishing
        return bool(finishing) or len(waiting) > len(going)

    def close_rest(self) -> Steps[None]:
        """Send away everybody who is left, since the time is over."""
        late = [connection.client for connection in self._connections() if connection.is_busy]
        if late:
            self.log.warn(
                "PHP has not answered {clients} clients in time (--drain-timeout); {messages} "
                "messages of theirs have not even reached it",
                clients=len(late),
                messages=sum(len(client.inbox) for client in late),
            )
        for connection in self._connections():
            connection.close(_GOING_AWAY, _REASON)
            yield

    def _close_if_idle(self, connection: DrainingConnection) -> bool:
        """Whether PHP has answered all that was read from it; it is sent away then."""
        if connection.is_busy and connection.client.is_connected():
            # Each time, since one that PHP has yet to let in does not listen before.
            connection.stop_reading()
            return False
        connection.close(_GOING_AWAY, _REASON)
        return True
