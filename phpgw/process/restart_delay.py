"""The delay until a process that has ended is started again."""

_FIRST, _MAX = 0.1, 10.0
# Seconds after which a process counts as stable, and the delay is the first again.
STABLE_SECONDS = 30


class RestartDelay:
    """A delay that doubles with each failure, up to 10 seconds."""

    def __init__(self) -> None:
        self._seconds = _FIRST

    def reset(self) -> None:
        """Begin with the first delay again."""
        self._seconds = _FIRST

    def take(self) -> float:
        """Return the delay until the next start, in seconds; the one after it is longer."""
        seconds = self._seconds
        self._seconds = min(2 * seconds, _MAX)
        return seconds
