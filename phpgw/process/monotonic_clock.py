"""The reactor's clock: monotonic, so that durations are right when the system time is set."""

import time
from typing import Any


def use_monotonic_time(reactor: Any) -> None:
    """Make the reactor measure time with the monotonic clock.

    By default, Twisted uses the system time. When that is set back by an hour, no timeout, ping or
    timer fires for an hour. When it is set forward, all of them fire at once. The monotonic clock
    cannot be set. It stops while the machine is suspended. Call this before anything is scheduled,
    since delayed calls that exist already use the system time.

    Code that needs the time of day (cookies, signatures, cron, dates in logs) calls
    :func:`time.time`.
    """
    reactor.seconds = time.monotonic
