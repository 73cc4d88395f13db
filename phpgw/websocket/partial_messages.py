"""Partly received messages: their memory in total, and the time that each may take."""

from collections.abc import Hashable
from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall

from phpgw.metrics import Metrics


class ReceivingConnection(Hashable, Protocol):
    """A connection that can have a partly received message."""

    def refuse_message(self, reason: str) -> None:
        """Discard the partly received message, and fail the connection with 1008."""


class PartialMessages:
    """A limit on the bytes of all partly received messages, and a timeout for each.

    When the limit is exceeded, the oldest of these messages is refused. A message that arrives as
    fast as others is complete before it is the oldest.

    :param limit: bytes of all these messages together.
    :param timeout: seconds for each message; 0 for no timeout.
    """

    def __init__(self, reactor: Any, limit: int, timeout: float, metrics: Metrics) -> None:
        self._reactor = reactor
        self._limit = limit
        self._timeout = timeout
        self._metrics = metrics
        # The start and the size of each message; the oldest is first.
        self._messages: dict[ReceivingConnection, tuple[float, int]] = {}
        self._size = 0
        self._call: IDelayedCall | None = None

    def update(self, connection: ReceivingConnection, size: int) -> None:
        """Set the number of bytes that a connection has received of its message."""
        started_at, before = self._messages.get(connection) or (self._reactor.seconds(), 0)
        self._messages[connection] = started_at, size
        self._change_size(size - before)
        self._schedule_check()
        while self._size > self._limit:
            self._metrics.unfinished_dropped += 1
            self._refuse(
                next(iter(self._messages)),
                "there are too many unfinished messages (--max-unfinished)",
            )

    def remove(self, connection: ReceivingConnection) -> None:
        """Remove the message of a connection, if there is one: it is complete, or discarded."""
        message = self._messages.pop(connection, None)
        if message is not None:
            self._change_size(-message[1])

    def restart(self, connection: ReceivingConnection) -> None:
        """Restart the timeout of a connection's message, if there is one: reading was paused."""
        message = self._messages.pop(connection, None)
        if message is not None:
            self._messages[connection] = self._reactor.seconds(), message[1]

    def _change_size(self, change: int) -> None:
        self._size += change
        self._metrics.unfinished_bytes_now = self._size

    def _schedule_check(self) -> None:
        if self._timeout and self._call is None and self._messages:
            oldest, _ = next(iter(self._messages.values()))
            delay = max(0.0, oldest + self._timeout - self._reactor.seconds())
            self._call = self._reactor.callLater(delay, self._check)

    def _check(self) -> None:
        self._call = None
        now = self._reactor.seconds()
        while self._messages:
            connection, (started_at, _) = next(iter(self._messages.items()))
            if now - started_at < self._timeout:
                break
            self._metrics.messages_timed_out += 1
            self._refuse(
                connection, f"a message may take {self._timeout:g} s at most (--message-timeout)"
            )
        self._schedule_check()

    def _refuse(self, connection: ReceivingConnection, reason: str) -> None:
        self.remove(connection)
        connection.refuse_message(reason)
