"""Connections to a server that a test opens, breaks and counts."""

from typing import Any

from twisted.internet.defer import Deferred


class FakeServerConnection:
    """A connection that is alive until a test says otherwise."""

    def __init__(self, key: str, opened_at: float) -> None:
        self.key = key
        self.opened_at = opened_at
        self.dies = False
        self.closed = 0

    def is_alive(self) -> bool:
        return not self.dies

    def close(self) -> None:
        self.closed += 1


class FakeConnector:
    """Opens connections when a test says so, or at once.

    :ivar opened: all connections that were opened.
    :ivar waiting: those that a test has to open, or have fail, with their keys.
    """

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self.opens_at_once = True
        self.fails_with: Exception | None = None
        self.opened: list[FakeServerConnection] = []
        self.waiting: list[tuple[str, Deferred[FakeServerConnection]]] = []
        self.cancelled = 0

    def connect(self, key: str) -> Deferred[FakeServerConnection]:
        if self.fails_with is not None:
            raise self.fails_with
        connecting: Deferred[FakeServerConnection] = Deferred(self._cancel)
        self.waiting.append((key, connecting))
        if self.opens_at_once:
            self.open_next()
        return connecting

    def open_next(self) -> None:
        key, connecting = self.waiting.pop(0)
        connection = FakeServerConnection(key, self._clock.seconds())
        self.opened.append(connection)
        connecting.callback(connection)

    def fail_next(self, error: Exception) -> None:
        _, connecting = self.waiting.pop(0)
        connecting.errback(error)

    def _cancel(self, cancelled: Deferred[FakeServerConnection]) -> None:
        self.cancelled += 1
        self.waiting = [each for each in self.waiting if each[1] is not cancelled]
