"""Log lines that a flood of the same event would make many of."""

from collections.abc import Callable
from typing import Any

import attrs
from twisted.application.service import Service
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import implementer

_INTERVAL = 10.0
# How many lines of a kind are written in that time.
_MOST = 50
# What is known of an event that a line about others like it needs.
_KEPT = ("log_namespace", "log_level", "log_time", "log_system", "log_format")


class LogThrottle:
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


@attrs.define
class _Kind:
    """Lines of one kind in an interval.

    :ivar first: what is known of one of them.
    :ivar count: how many there have been.
    """

    first: LogEvent
    count: int = 0


@implementer(ILogObserver)
class LineLimit:
    """Passes lines on to the log, of each kind so many in a time; what is beyond is counted.

    Lines are of one kind if they are written by the same class, with the same format. Until it is
    started, all lines pass.
    """

    def __init__(self, observer: ILogObserver) -> None:
        self._observer = observer
        self._reactor: Any = None
        self._call: Any = None
        self._kinds: dict[object, _Kind] = {}

    def __call__(self, event: LogEvent) -> None:
        if self._reactor is not None:
            name = event.get("log_namespace"), event.get("log_format")
            kind = self._kinds.get(name)
            if kind is None:
                # Not the event itself, which holds whom it is about, buffers and all.
                first = {each: event[each] for each in _KEPT if each in event}
                kind = self._kinds[name] = _Kind(first)
            kind.count += 1
            if kind.count > _MOST:
                return
            if self._call is None:
                self._call = self._reactor.callLater(_INTERVAL, self._begin_anew)
        self._observer(event)

    def start(self, reactor: Any) -> None:
        """Let too many lines of a kind pass no longer.

        :param reactor: tells the time.
        """
        self._reactor = reactor

    def stop(self) -> None:
        """Let all lines pass, and say how many have not."""
        self._reactor = None
        if self._call is not None:
            self._call.cancel()
            self._begin_anew()

    def _begin_anew(self) -> None:
        kinds, self._kinds, self._call = self._kinds, {}, None
        for kind in kinds.values():
            if kind.count > _MOST:
                self._observer(_summary(kind))


def _summary(kind: _Kind) -> LogEvent:
    """A line that stands for those that were not written."""
    return {
        **kind.first,
        "log_format": "{count} more lines like this within {seconds:.0f} s: {like!r}",
        "count": kind.count - _MOST,
        "seconds": _INTERVAL,
        "like": kind.first.get("log_format") or "",
    }


line_limit = LineLimit(globalLogPublisher)
"""What all our loggers write to, since strangers can make most of them write."""


class LineLimitService(Service):
    """Limits the log's lines from the gateway's start to the end of the process."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def startService(self) -> None:
        super().startService()
        line_limit.start(self._reactor)
        # Not with the service: a stop has lines about everybody who is there.
        self._reactor.addSystemEventTrigger("after", "shutdown", line_limit.stop)
