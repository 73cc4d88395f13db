"""Durations as people write them: ``10``, ``2.5``, ``500ms``, ``10s``, ``5m``, ``1h``."""

import re

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|)")
_UNITS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}
# An upper bound, so that calculations and timers with it work.
_MAX_SECONDS = 10 * 366 * 86400


def is_duration(text: str) -> bool:
    """Return whether a text has the form of a duration, which may be too long."""
    return _DURATION.fullmatch(text) is not None


def parse_duration(text: str) -> float:
    """Return the seconds in a duration; 0 is allowed.

    :raises ValueError: with a description of valid durations, if the text is none.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError("a number of seconds, or one with a unit: 500ms, 10s, 5m, 1h")
    seconds = float(match[1]) * _UNITS[match[2]]
    if seconds > _MAX_SECONDS:
        raise ValueError(f"a time of {_MAX_SECONDS // 3600}h at most")
    return seconds
