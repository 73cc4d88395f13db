"""Messages of which a part has come: how much memory they take in all, and for how long."""

from collections.abc import Hashable
from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall

from phpgw.metrics import Metrics


class ReceivingConnection(Hashable, Protocol):
    """A connection that a message comes from."""

    def refuse_message(self, reason: str) -> None:
        """Give up the message that is coming, and close with 1008."""


class PartialMessages:
    """Holds all unfinished messages to one budget, and each to a time limit.

    Where the budget is spent, the message that has been coming for longest is given up: one that
    arrives as fast as others do is finished long before it is that.

    :param limit: bytes for all of them.
    :param timeout: seconds for each; 0 for any number.
    """

    def __init__(self, reactor: Any, limit: int, timeout: float, metrics: Metrics) -> None:
        self._reactor = reactor
        self._limit = limit
        self._timeout = timeout
        self._metrics = metrics
        # Those that have been coming for longest are first: when each began, and its size.
        self._messages: dict[ReceivingConnection, tuple[float, int]] = {}
        self._size = 0
        self._call: IDelayedCall | None = None

    def update(self, connection: ReceivingConnection, size: int) -> None:
        """Note how much of its message has come from a connection."""
        began, before = self._messages.get(connection) or (self._reactor.seconds(), 0)
        self._messages[connection] = began, size
        self._count(size - before)
        self._check_later()
        while self._size > self._limit:
            self._metrics.unfinished_dropped += 1
            self._give_up(
                next(iter(self._messages)),
                "there are too many unfinished messages (--max-unfinished)",
            )

    def remove(self, connection: ReceivingConnection) -> None:
        """Forget a message that is whole, or not wanted; there need not be one."""
        message = self._messages.pop(connection, None)
        if message is not None:
            self._count(-message[1])

    def restart(self, connection: ReceivingConnection) -> None:
        """Let the time for a connection's message begin anew, if there is one: it was not read."""
        message = self._messages.pop(connection, None)
        if message is not None:
            self._messages[connection] = self._reactor.seconds(), message[1]

    def _count(self, change: int) -> None:
        self._size += change
        self._metrics.unfinished_bytes_now = self._size

    def _check_later(self) -> None:
        if self._timeout and self._call is None and self._messages:
            oldest, _ = next(iter(self._messages.values()))
            delay = max(0.0, oldest + self._timeout - self._reactor.seconds())
            self._call = self._reactor.callLater(delay, self._check)

    def _check(self) -> None:
        self._call = None
        now = self._reactor.seconds()
        while self._messages:
            connection, (began, _) = next(iter(self._messages.items()))
            if now - began < self._timeout:
                break
            self._metrics.messages_timed_out += 1
            self._give_up(
                connection, f"a message may take {self._timeout:g} s at most (--message-timeout)"
            )
        self._check_later()

    def _give_up(self, connection: ReceivingConnection, reason: str) -> None:
        self.remove(connection)
        connection.refuse_message(reason)
