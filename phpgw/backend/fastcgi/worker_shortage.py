"""Messages for a PHP-FPM with too few workers."""

from collections.abc import Callable

from twisted.logger import Logger

from phpgw.log_limit import LogThrottle, line_limit

# Waits of at least this many seconds are logged.
_MIN_LOGGED_SECONDS = 1.0

NO_WORKER = (
    "PHP-FPM had no worker for it within {}, so it has not run: pm.max_children is too low for "
    "what its pool is asked, or --php-concurrency too high for what is left of it"
)


class WorkerShortageLog:
    """Logs, at a limited rate, that events wait for a worker of PHP-FPM.

    :param seconds: returns the time.
    """

    log = Logger(observer=line_limit)

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._throttle = LogThrottle(seconds)

    def waited(self, seconds: float) -> None:
        """Count an event that has waited for a worker for so long."""
        if seconds < _MIN_LOGGED_SECONDS:
            return
        count = self._throttle.count()
        if count:
            self.log.warn(
                "PHP-FPM has too few workers: {count} more events have waited for one there, the "
                "last of them for {seconds:.1f} s. Raise pm.max_children in its pool, or lower "
                "--php-concurrency to what is left of it",
                count=count,
                seconds=seconds,
            )
