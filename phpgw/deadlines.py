"""Timeouts of the same length for many keys, with one timer."""

from collections.abc import Callable
from itertools import takewhile
from typing import Any, Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall

K = TypeVar("K")

# A timer may fire early by the rounding of a clock.
_TICK = 0.001


class Deadlines(Generic[K]):
    """Timeouts of the same length for many keys.

    One timer is enough, since they expire in the order in which they were started.

    :param seconds: the length of the timeout.
    :param expire: called with a key whose timeout is over, and which is forgotten by then.
    """

    def __init__(self, reactor: Any, seconds: float, expire: Callable[[K], None]) -> None:
        self.seconds = seconds
        self._reactor = reactor
        self._now = reactor.seconds
        self._expire = expire
        # When each key expires, in that order.
        self._due: dict[K, float] = {}
        self._timer: IDelayedCall | None = None

    def start(self, key: K) -> None:
        """Start the timeout of a key, or restart it."""
        self._due.pop(key, None)
        self._due[key] = self._now() + self.seconds
        if self._timer is None:
            self._timer = self._reactor.callLater(self.seconds, self._expire_due)

    def stop(self, key: K) -> None:
        """Stop the timeout of a key, if it was started."""
        self._due.pop(key, None)

    def seconds_left(self, key: K) -> float:
        """Return the rest of the timeout of a key; 0 if it was not started."""
        due = self._due.get(key)
        return 0 if due is None else max(due - self._now(), 0)

    def close(self) -> None:
        """Cancel the timer."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
            self._timer = None

    def _expire_due(self) -> None:
        now = self._now()
        # In one pass: a dictionary keeps gaps at its front, and to pass them again for each key
        # would take a time that grows with the square of the number of keys.
        over = [*takewhile(lambda item: item[1] <= now + _TICK, self._due.items())]
        try:
            for key, due in over:
                # A call before may have stopped it, or started it anew.
                if self._due.get(key) == due:
                    del self._due[key]
                    self._expire(key)
        finally:
            # Not before: a call of expire() may start a timeout, and one timer is enough. Also
            # after an exception, or nothing would expire any more.
            self._timer = None
            if self._due:
                due = next(iter(self._due.values()))
                self._timer = self._reactor.callLater(max(due - now, 0), self._expire_due)
