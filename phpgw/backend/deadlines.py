"""Timeouts of the same length for many keys, with one timer."""

from collections.abc import Callable
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

    def close(self) -> None:
        """Cancel the timer."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
            self._timer = None

    def _expire_due(self) -> None:
        # A call of expire() may start a timeout; no other timer is set until all were called.
        now = self._now()
        while self._due:
            key, due = next(iter(self._due.items()))
            if due > now + _TICK:
                self._timer = self._reactor.callLater(due - now, self._expire_due)
                return
            del self._due[key]
            self._expire(key)
        self._timer = None
