"""Timeouts of many connections that all wait for the same time, with one timer.

A delayed call of its own for each connection takes longer than a push does.
"""

from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class TimedConnection(Protocol):
    """A connection that can time out."""

    def timeoutConnection(self) -> object:  # noqa: N802
        """Handle the timeout."""


class TimeoutQueue:
    """The connections that wait, in the order in which they time out.

    :param seconds: how long each of them may wait.
    """

    def __init__(self, reactor: IReactorTime, seconds: float) -> None:
        self._reactor = reactor
        self._seconds = seconds
        self._due: dict[TimedConnection, float] = {}
        self._call: IDelayedCall | None = None

    def start(self, connection: TimedConnection) -> None:
        """Start the timeout of a connection; start it again if it runs already."""
        self._due.pop(connection, None)
        self._due[connection] = self._reactor.seconds() + self._seconds
        if self._call is None:
            self._call = self._reactor.callLater(self._seconds, self._expire)

    def stop(self, connection: TimedConnection) -> None:
        """Stop the timeout of a connection, if it runs."""
        self._due.pop(connection, None)

    def seconds_left(self, connection: TimedConnection) -> float:
        """Return how long a connection may still wait; 0 if its timeout does not run."""
        due = self._due.get(connection)
        return 0 if due is None else max(due - self._reactor.seconds(), 0)

    def _expire(self) -> None:
        self._call = None
        now = self._reactor.seconds()
        while self._due:
            connection, due = next(iter(self._due.items()))
            if due > now:
                self._call = self._reactor.callLater(due - now, self._expire)
                break
            del self._due[connection]
            connection.timeoutConnection()
