"""Times of log lines, in the local time zone."""

from datetime import datetime
from functools import lru_cache


def timestamp(time: float) -> str:
    """Return a time as RFC 3339 has it, to the millisecond: ``2026-11-29T09:03:25.250+00:00``.

    :param time: in seconds since the epoch.
    """
    date_and_time, zone = _second(int(time))
    return f"{date_and_time}.{int(time % 1 * 1000):03d}{zone}"


def time_of_day(time: float) -> str:
    """Return the time of day, to the millisecond: ``09:03:25.250``.

    :param time: in seconds since the epoch.
    """
    date_and_time, _ = _second(int(time))
    return f"{date_and_time[11:]}.{int(time % 1 * 1000):03d}"


# It takes a few microseconds, and lines come in bursts.
@lru_cache(maxsize=2)
def _second(time: int) -> tuple[str, str]:
    """Return a second's date and time, and the time zone's offset then."""
    text = datetime.fromtimestamp(time).astimezone().isoformat()
    return text[:19], text[19:]
