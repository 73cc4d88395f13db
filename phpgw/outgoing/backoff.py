"""The delay until a connection is made again: exponential, with full jitter."""

from collections.abc import Callable
from random import uniform

_FIRST, _MAX = 1.0, 60.0
# Seconds after which a connection counts as stable, and the delay is the first again. A server that
# accepts each connection and closes it at once is not connected to without a pause.
STABLE_SECONDS = 30.0


class Backoff:
    """A delay whose upper limit doubles with each failure, from one second to a minute.

    :param pick: returns a number between two others, at random.
    """

    def __init__(self, pick: Callable[[float, float], float] = uniform) -> None:
        self._pick = pick
        self._limit = _FIRST

    def ended(self, seconds: float) -> None:
        """Note that a connection has ended.

        :param seconds: for how long it was open.
        """
        if seconds >= STABLE_SECONDS:
            self._limit = _FIRST

    def take(self) -> float:
        """Return the delay until the next attempt, in seconds; the one after it may be longer."""
        limit, self._limit = self._limit, min(2 * self._limit, _MAX)
        return self._pick(0, limit)
