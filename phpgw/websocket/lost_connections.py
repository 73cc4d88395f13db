"""Finds out whether connections are lost after the same time, as if something cuts them."""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from twisted.logger import Logger

from phpgw.log_limit import line_limit

# The connections that are looked at: the last ones that were lost.
_KEPT = 16
# How many of them have to be alike, in seconds from the shortest to the longest.
_ENOUGH, _TOLERANCE = 8, 1.0
# Those that end together, as when a proxy restarts, have another cause.
_MIN_SPREAD = 10.0
# Pages that were left at once are often alike.
_MIN_AGE = 5.0
# Seconds from one line of the log to the next.
_PAUSE = 600.0
# Seconds that phpgw check waits at most.
_MAX_IDLE = 600.0


class _Lost(NamedTuple):
    """A connection that was lost: when, and how long it had been open."""

    at: float
    age: float


class LostConnections:
    """The last connections that have ended without a close frame (code 1006).

    A proxy or a firewall that cuts old or quiet connections sends no close frame, so that neither
    side is told why. But then many connections have the same age at their end, at different times.

    :param seconds: returns the time of the reactor's clock.
    """

    log = Logger(observer=line_limit)

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._last: deque[_Lost] = deque(maxlen=_KEPT)
        self._logged_at = float("-inf")

    def add(self, age: float) -> None:
        """Note a connection that was lost; log it if enough others were as old.

        :param age: how long it had been open, in seconds.
        """
        now = self._seconds()
        if age < _MIN_AGE:
            return
        self._last.append(_Lost(now, age))
        alike = [each for each in self._last if abs(each.age - age) <= _TOLERANCE / 2]
        if (
            len(alike) >= _ENOUGH
            and now - alike[0].at >= _MIN_SPREAD
            and now - self._logged_at >= _PAUSE
        ):
            self._logged_at = now
            self.log.warn(
                "{count} of the last {total} connections that were lost had been open for "
                "{seconds:.0f} s: a proxy or a firewall in between seems to cut them then. If it "
                "cuts quiet ones, --ping-interval has to be shorter than its timeout "
                "(proxy_read_timeout in Nginx). phpgw check --url wss://SITE/ws --idle {idle} "
                "shows it",
                count=len(alike),
                total=len(self._last),
                seconds=age,
                idle=f"{min(2 * age, _MAX_IDLE):.0f}s",
            )
