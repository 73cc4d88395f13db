"""Reports of events that have ended, for the metrics and for those who watch the gateway."""

from collections.abc import Callable
from typing import NamedTuple

from twisted.internet.defer import CancelledError
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.backend.event import Event
from phpgw.histogram import OUTCOMES
from phpgw.log_limit import line_limit
from phpgw.metrics import Metrics
from phpgw.relay.breaker import CircuitOpen
from phpgw.relay.errors import ClientDisconnected
from phpgw.relay.fifo import QueuedEvent
from phpgw.relay.overload import Overloaded

REPLIED, FAILED, REFUSED, WITHDRAWN = OUTCOMES


class EventReport(NamedTuple):
    """A report of an event that has ended.

    :ivar outcome: one of :data:`phpgw.histogram.OUTCOMES`.
    :ivar waited: seconds from when it began to when PHP was asked, or to its end if PHP never was.
    :ivar php_seconds: seconds from then to the end of PHP's reply; ``None`` if PHP was not asked.
    :ivar status: the HTTP status of PHP's reply; ``None`` if there is none.
    :ivar reply: the body of PHP's reply; empty if it was streamed.
    :ivar problem: the text of the error, as in the log; empty if there was none.
    :ivar at: when it ended, in seconds since the epoch.
    """

    event: Event
    outcome: str
    waited: float
    php_seconds: float | None
    status: int | None
    reply: bytes
    problem: str
    at: float

    @property
    def event_id(self) -> str:
        """Return the id of the event."""
        return self.event.id


Observer = Callable[[EventReport], None]


class EventObservers:
    """Counts events that have ended, and tells those who observe them.

    :param now: returns the time of the reactor's clock, in seconds.
    :param wall_time: returns the time of day, in seconds since the epoch.
    """

    log = Logger(observer=line_limit)

    def __init__(
        self,
        now: Callable[[], float],
        metrics: Metrics,
        wall_time: Callable[[], float],
    ) -> None:
        self._now = now
        self._wall_time = wall_time
        self._metrics = metrics.events
        self._observers: tuple[Observer, ...] = ()

    def add(self, observer: Observer) -> None:
        """Call an observer with a report of each event that ends from now on.

        An error in it is logged, and harms nothing else.
        """
        self._observers = (*self._observers, observer)

    def remove(self, observer: Observer) -> None:
        """Call an observer no longer."""
        self._observers = tuple(each for each in self._observers if each != observer)

    def ended(self, queued: QueuedEvent, event: Event) -> None:
        """Count an event that has ended, and report it to the observers, if there are any."""
        now, began_at, asked_at, failure = self._now(), queued.began_at, queued.asked_at, None
        outcome = REPLIED
        if queued.failure is not None:
            # Its traceback refers to the event.
            failure, queued.failure = queued.failure, None
            outcome = _outcome(failure)
            if outcome is REFUSED:
                asked_at = None
        if asked_at is None:
            waited, php_seconds = now - began_at, None
        else:
            waited, php_seconds = asked_at - began_at, (queued.replied_at or now) - asked_at
        self._metrics[event.type].count(outcome, waited, php_seconds, now - began_at)
        if self._observers:
            reply = queued.reply
            self._report(
                EventReport(
                    event=event,
                    outcome=outcome,
                    waited=waited,
                    php_seconds=php_seconds,
                    status=None if reply is None else reply.head.status,
                    reply=b"" if reply is None else reply.body,
                    problem="" if failure is None else failure.getErrorMessage(),
                    at=self._wall_time(),
                )
            )

    def _report(self, report: EventReport) -> None:
        for observer in self._observers:
            try:
                observer(report)
            except Exception:
                self.log.failure("An observer of events has failed")


def _outcome(failure: Failure) -> str:
    """Return how an event has ended that has failed."""
    if failure.check(CancelledError, ClientDisconnected):
        return WITHDRAWN
    if failure.check(CircuitOpen, Overloaded):
        return REFUSED
    return FAILED
