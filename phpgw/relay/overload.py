"""Limits on how many events may wait for PHP and for how long; the others fail at once."""

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from phpgw.backend.errors import BackendError
from phpgw.backend.event import new_event_id
from phpgw.log_limit import LogThrottle, line_limit
from phpgw.metrics import Metrics
from phpgw.relay.fifo import QueuedEvent
from phpgw.relay.queue import EventQueue

# Seconds between two checks of the waiting times, at most.
_CHECK_INTERVAL = 1.0
# A check takes time; it is done so often that a short timeout is exceeded by a tenth at most.
_CHECKS_PER_TIMEOUT = 10
# How many events fail in one reactor turn.
_MAX_PER_REACTOR_TURN = 100
# The handshakes of one network may take this part of the places, but at least so many.
_PART_OF_HANDSHAKES, _MIN_HANDSHAKES = 100, 10


class Overloaded(BackendError):
    """PHP was not asked: too many events wait for it, or this one has waited too long."""


class WaitingLimits:
    """Makes events fail that are too many or wait for too long.

    Handshakes may take half of the places. One network may take half of the places, and its
    handshakes a hundredth. So no network can keep out all others.

    :param queue: where the events wait.
    :param max_count: how many events may wait.
    :param timeout: how many seconds each may wait; 0 for no timeout.
    :param on_crowded: called at each check while an event has waited for a second because PHP runs
        as many as it may.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        queue: EventQueue,
        max_count: int,
        timeout: float,
        metrics: Metrics,
        on_crowded: Callable[[], object],
    ) -> None:
        self._reactor = reactor
        self._queue = queue
        self._max_count = max_count
        self._timeout = timeout
        self._metrics = metrics
        self._on_crowded = on_crowded
        self._counted_from = 0.0
        self._interval = min(_CHECK_INTERVAL, (timeout or _CHECK_INTERVAL) / _CHECKS_PER_TIMEOUT)
        self._check_call: IDelayedCall | None = None
        now = reactor.seconds
        self._too_many = _Reason(f"{max_count} events wait for PHP already (--max-waiting)", now)
        self._too_many_handshakes = _Reason(
            "too many handshakes wait for PHP already (--max-waiting)", now
        )
        self._too_many_of_network = _Reason(
            "too many events of one address wait for PHP already (--max-waiting)", now
        )
        self._too_long = _Reason(
            f"PHP had no time for it within {timeout:g} s (--waiting-timeout)", now
        )

    def check(self, event: QueuedEvent) -> Overloaded | None:
        """Return the error that refuses an event that would have to wait; ``None`` to queue it."""
        queue, half = self._queue, max(1, self._max_count // 2)
        if queue.waiting >= self._max_count:
            return self._refuse(self._too_many)
        if event.fifo is queue.handshakes:
            limit = max(_MIN_HANDSHAKES, self._max_count // _PART_OF_HANDSHAKES)
            of_network = queue.handshakes.waiting_from(event.network)
            if len(queue.handshakes) >= half or of_network >= limit:
                return self._refuse(self._too_many_handshakes)
        if event.network is not None and queue.waiting_from(event.network) >= half:
            return self._refuse(self._too_many_of_network)
        return None

    def watch(self) -> None:
        """Check the waiting times until no event waits."""
        if self._check_call is None and self._queue.waiting:
            self._check_later(self._interval)

    def restart(self) -> None:
        """Count waiting times from now on, as the gateway itself has held the events back."""
        self._counted_from = self._reactor.seconds()

    def _check_later(self, seconds: float) -> None:
        self._check_call = self._reactor.callLater(seconds, self._check_times)

    def _check_times(self) -> None:
        """Make events fail that have waited too long, some at a time."""
        self._check_call = None
        if self._queue.is_held:
            self.watch()
            return
        now = self._reactor.seconds()
        if self._queue.is_full and self._queue.has_waited_since(now - _CHECK_INTERVAL):
            self._on_crowded()
        if self._timeout and now - self._counted_from > self._timeout:
            overdue = self._queue.cancel_overdue(now - self._timeout, _MAX_PER_REACTOR_TURN)
            for event in overdue:
                event.refuse(self._refuse(self._too_long))
            if overdue and self._queue.waiting:
                # More events may be overdue, also the next messages of these clients.
                self._check_later(0)
        self.watch()

    def _refuse(self, reason: "_Reason") -> Overloaded:
        """Count a refused event, and return its error."""
        self._metrics.events_refused_by_overload += 1
        return reason.error()


class _Reason:
    """A reason for which events fail; a flood of them shares one log line and its id."""

    log = Logger(observer=line_limit)

    def __init__(self, text: str, seconds: Callable[[], float]) -> None:
        self._text = text
        self._throttle = LogThrottle(seconds)
        self._log_id = ""

    def error(self) -> Overloaded:
        """Return the error for one more event, and log it unless that has been done recently."""
        count = self._throttle.count()
        if count:
            self._log_id = new_event_id()
            self.log.error(
                "PHP cannot keep up; {count} more events have failed: {reason} (this and those to "
                "come are error {event_id})",
                count=count,
                reason=self._text,
                event_id=self._log_id,
            )
        return Overloaded(self._text, self._log_id)
