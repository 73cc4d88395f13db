"""When those in flight have had their time."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall

K = TypeVar("K")

# Timers may be early by the rounding of a clock.
_TICK = 0.001


class Deadlines(Generic[K]):
    """A time limit that is the same for all, from when each was started or started anew.

    One timer serves all of them, as they are due in the order in which they were started.

    :param seconds: how long each may take.
    :param expire: called with one whose time is over; it is forgotten by then.
    """

    def __init__(self, reactor: Any, seconds: float, expire: Callable[[K], None]) -> None:
        self.seconds = seconds
        self._reactor = reactor
        self._now = reactor.seconds
        self._expire = expire
        # Each with when it is due, in that order.
        self._due: dict[K, float] = {}
        self._timer: IDelayedCall | None = None

    def start(self, key: K) -> None:
        """From now on this one has its time, or has it once more."""
        self._due.pop(key, None)
        self._due[key] = self._now() + self.seconds
        if self._timer is None:
            self._timer = self._reactor.callLater(self.seconds, self._look)

    def stop(self, key: K) -> None:
        """It may take as long as it likes, or has ended."""
        self._due.pop(key, None)

    def close(self) -> None:
        """Leave no timer behind."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        # Whoever hears of it may start another; until all have heard, no other timer is set.
        now = self._now()
        while self._due:
            key, due = next(iter(self._due.items()))
            if due > now + _TICK:
                self._timer = self._reactor.callLater(due - now, self._look)
                return
            del self._due[key]
            self._expire(key)
        self._timer = None
