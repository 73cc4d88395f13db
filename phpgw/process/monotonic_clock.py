"""Which clock the gateway measures durations with."""

import time
from typing import Any


def use_monotonic_time(reactor: Any) -> None:
    """Let this reactor, and all that asks it for the time, measure durations that are true.

    Twisted goes by the time of day. When that is set back an hour, no time-out, ping or timer comes
    for an hour; when it is set forward, all of them come at once. The monotonic clock is never set;
    it stands still while the machine is suspended. Call it before anything is timed: a call that
    waits already goes by the time of day.

    What needs the time of day (cookies, signatures, cron, dates that people read) takes
    :func:`time.time`.
    """
    reactor.seconds = time.monotonic
