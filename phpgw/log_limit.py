"""Rate limits for log lines, so that a flood of the same event does not fill the log."""

from collections.abc import Callable
from typing import Any

import attrs
from twisted.application.service import Service
from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogPublisher
from zope.interface import implementer

_INTERVAL = 10.0
# The maximum number of lines of one kind in an interval.
_MAX_LINES = 50
# That of debug lines, each of which is about one event, and is asked for.
_MAX_DEBUG_LINES = 1000
# The keys of an event that the summary line needs.
_KEPT_KEYS = ("log_namespace", "log_level", "log_time", "log_system", "log_format")


class LogThrottle:
    """A rate limit for one log line, which counts the events in between.

    :param seconds: returns the current time.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._logged_at = float("-inf")
        self._count = 0

    def count(self) -> int:
        """Count one event.

        :returns: the number of events since the last log line, if it is time for another line;
            otherwise 0.
        """
        self._count += 1
        now = self._seconds()
        if now - self._logged_at < _INTERVAL:
            return 0
        self._logged_at = now
        count, self._count = self._count, 0
        return count


@attrs.define
class _LineCount:
    """The number of log lines of one kind in an interval.

    :ivar first: some keys of the first line's event.
    :ivar max_count: how many pass.
    :ivar count: the number of lines.
    """

    first: LogEvent
    max_count: int
    count: int = 0


@implementer(ILogObserver)
class LineLimit:
    """A log observer that passes a limited number of lines of each kind on to another observer.

    Lines are of one kind if the same class writes them, with the same format. At the end of an
    interval, one line has the number of those that were left out. All lines pass before
    :meth:`start` and after :meth:`stop`.
    """

    def __init__(self, observer: ILogObserver) -> None:
        self._observer = observer
        self._reactor: Any = None
        self._call: Any = None
        self._kinds: dict[object, _LineCount] = {}

    def __call__(self, event: LogEvent) -> None:
        if self._reactor is not None:
            name = event.get("log_namespace"), event.get("log_format")
            kind = self._kinds.get(name)
            if kind is None:
                # Not the event itself, which would keep its connection and buffers in memory.
                first = {each: event[each] for each in _KEPT_KEYS if each in event}
                is_debug = event.get("log_level") is LogLevel.debug
                max_count = _MAX_DEBUG_LINES if is_debug else _MAX_LINES
                kind = self._kinds[name] = _LineCount(first, max_count)
            kind.count += 1
            if kind.count > kind.max_count:
                return
            if self._call is None:
                self._call = self._reactor.callLater(_INTERVAL, self._end_interval)
        self._observer(event)

    def count_if_over(self, namespace: str, log_format: str) -> bool:
        """Count a line if it would be left out, so that its event need not be made.

        :returns: whether it was counted. If not, it has to be logged.
        """
        kind = self._kinds.get((namespace, log_format))
        if kind is None or kind.count < kind.max_count:
            return False
        kind.count += 1
        return True

    def start(self, reactor: Any) -> None:
        """Begin to limit lines.

        :param reactor: measures the intervals.
        """
        self._reactor = reactor

    def stop(self) -> None:
        """Stop limiting lines, and log how many were left out."""
        self._reactor = None
        if self._call is not None:
            self._call.cancel()
            self._end_interval()

    def _end_interval(self) -> None:
        kinds, self._kinds, self._call = self._kinds, {}, None
        for kind in kinds.values():
            if kind.count > kind.max_count:
                self._observer(_summary(kind))


def _summary(kind: _LineCount) -> LogEvent:
    """Return the event of a line with the number of those that were left out."""
    return {
        **kind.first,
        "log_format": "{count} more lines like this within {seconds:.0f} s: {like!r}",
        "count": kind.count - kind.max_count,
        "seconds": _INTERVAL,
        "like": kind.first.get("log_format") or "",
    }


line_limit = LineLimit(globalLogPublisher)
"""The observer of all loggers in this package, since clients can cause most log lines."""


class LineLimitService(Service):
    """A service that limits log lines from the gateway's start to the end of the process."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def startService(self) -> None:
        super().startService()
        line_limit.start(self._reactor)
        # Not when the service stops: a stop logs lines about all clients.
        self._reactor.addSystemEventTrigger("after", "shutdown", line_limit.stop)
