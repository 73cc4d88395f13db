"""How many events may wait for PHP, and for how long; what is beyond that fails at once."""

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from phpgw.backend.errors import BackendError
from phpgw.log_limit import LogThrottle, line_limit
from phpgw.metrics import Metrics
from phpgw.relay.errors import new_error_id
from phpgw.relay.queue import Turn, Turns

# How often those who wait are looked at, at least.
_LOOK_SECONDS = 1.0
# A look costs something; a short limit is kept to within a tenth.
_LOOKS_PER_LIMIT = 10
# How many fail in one turn of the reactor.
_AT_ONCE = 100
# Of the room for events, one network's handshakes have this part, but no fewer than so many.
_PART_OF_HANDSHAKES, _FEWEST_HANDSHAKES = 100, 10


class Overloaded(BackendError):
    """PHP was not asked, since it cannot keep up."""


class WaitingLimits:
    """Fails events that are too many, or wait for too long.

    Handshakes may take half of the room, and so may one network, whose handshakes may take a
    hundredth; so nobody keeps out all others.

    :param turns: what they wait for.
    :param count: how many events may wait.
    :param seconds: how long each may; 0 for ever.
    :param crowded: called every now and then while PHP has had no turn free for a while.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        turns: Turns,
        count: int,
        seconds: float,
        metrics: Metrics,
        crowded: Callable[[], object],
    ) -> None:
        self._reactor = reactor
        self._turns = turns
        self._count = count
        self._seconds = seconds
        self._metrics = metrics
        self._crowded = crowded
        self._counted_from = 0.0
        self._interval = min(_LOOK_SECONDS, (seconds or _LOOK_SECONDS) / _LOOKS_PER_LIMIT)
        self._look_call: IDelayedCall | None = None
        now = reactor.seconds
        self._too_many = _Reason(f"{count} events wait for PHP already (--max-waiting)", now)
        self._too_many_handshakes = _Reason(
            "too many handshakes wait for PHP already (--max-waiting)", now
        )
        self._too_many_here = _Reason(
            "too many events of one address wait for PHP already (--max-waiting)", now
        )
        self._too_long = _Reason(
            f"PHP had no time for it within {seconds:g} s (--waiting-timeout)", now
        )

    def too_many(self, turn: Turn) -> Overloaded | None:
        """Return what a turn fails with that would wait, too; ``None`` if it may."""
        turns, half = self._turns, max(1, self._count // 2)
        if turns.waiting >= self._count:
            return self._overloaded(self._too_many)
        if turn.line is turns.handshakes:
            most = max(_FEWEST_HANDSHAKES, self._count // _PART_OF_HANDSHAKES)
            if len(turns.handshakes) >= half or turns.handshakes.waiting_from(turn.place) >= most:
                return self._overloaded(self._too_many_handshakes)
        if turn.place is not None and turns.waiting_from(turn.place) >= half:
            return self._overloaded(self._too_many_here)
        return None

    def watch(self) -> None:
        """Look after those who wait until there are none."""
        if self._look_call is None and self._turns.waiting:
            self._look_later(self._interval)

    def start_anew(self) -> None:
        """The time so far does not count: those who wait were made to."""
        self._counted_from = self._reactor.seconds()

    def _look_later(self, seconds: float) -> None:
        self._look_call = self._reactor.callLater(seconds, self._look)

    def _look(self) -> None:
        self._look_call = None
        if self._turns.is_held:
            self.watch()
            return
        now = self._reactor.seconds()
        if self._turns.is_full and self._turns.has_waited(now - _LOOK_SECONDS):
            self._crowded()
        if self._seconds and now - self._counted_from > self._seconds:
            overdue = self._turns.cancel_overdue(now - self._seconds, _AT_ONCE)
            for turn in overdue:
                turn.begin(self._overloaded(self._too_long))
            if overdue and self._turns.waiting:
                # Others may be overdue, or what these clients have said next.
                self._look_later(0)
        self.watch()

    def _overloaded(self, reason: "_Reason") -> Overloaded:
        self._metrics.events_refused_by_overload += 1
        return reason.error()


class _Reason:
    """A reason for which events fail, many of them at a time."""

    log = Logger(observer=line_limit)

    def __init__(self, text: str, seconds: Callable[[], float]) -> None:
        self._text = text
        self._seldom = LogThrottle(seconds)
        self._error_id = ""

    def error(self) -> Overloaded:
        count = self._seldom.count()
        if count:
            self._error_id = new_error_id()
            self.log.error(
                "PHP cannot keep up; {count} more events have failed: {reason} (this and those to "
                "come are error {error_id})",
                count=count,
                reason=self._text,
                error_id=self._error_id,
            )
        return Overloaded(self._text, self._error_id)
