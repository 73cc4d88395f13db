"""Log lines that a flood of the same event would make many of."""

from collections.abc import Callable

_INTERVAL = 10.0


class Seldom:
    """Lets something be said now and then, and knows how often it could have been said.

    :param seconds: the time.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._said_at = float("-inf")
        self._count = 0

    def count(self) -> int:
        """Count one more.

        :returns: how many there have been since it was said last, if it is to be said again; 0
            if it is not.
        """
        self._count += 1
        now = self._seconds()
        if now - self._said_at < _INTERVAL:
            return 0
        self._said_at = now
        count, self._count = self._count, 0
        return count
