"""The schedule: a service that runs each timer when it is due, and skips missed runs."""

import time
from collections.abc import Callable, Iterable
from datetime import datetime
from math import inf

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.labelled_counts import LabelledCounts
from phpgw.log_limit import line_limit
from phpgw.metrics import Metrics
from phpgw.timers.rules import Rule, Timer
from phpgw.timers.turns import EveryTurn, Turn, Turns

# Seconds by which a run may be late. A later one counts as missed: the process was stopped, the
# machine was suspended, or the clock was set.
_MAX_DELAY = 60
# Seconds after which to check the clock again. A waiting reactor does not notice that the clock was
# set, or that the machine was suspended.
_MAX_SLEEP = 60
# Seconds between two log lines about skipped runs of a timer.
_LOG_INTERVAL = 600
_UNDER_WAY = "one was still under way"
_MISSED = "their time was missed"


class Schedule(Service):
    """A service that runs timers, each of them at most once at a time.

    A run is skipped if the run before has not ended, or if its time was missed. Skipped runs are
    counted, and not repeated.

    :param trigger: called with a timer's name; returns a Deferred that fires when the run ends,
        with whether PHP has replied.
    :param wall_time: returns the time of day, in seconds since the epoch, for cron rules.
    :param turns: decides which process has a run, if there are several.
    """

    log = Logger(observer=line_limit)

    def __init__(
        self,
        reactor: IReactorTime,
        timers: Iterable[Timer],
        trigger: Callable[[str], Deferred[bool]],
        metrics: Metrics,
        wall_time: Callable[[], float] = time.time,
        turns: Turns | None = None,
    ) -> None:
        turns = turns or EveryTurn()
        self._runners = [
            _TimerRunner(reactor, wall_time, turns.timer(timer), trigger, metrics, turns)
            for timer in timers
        ]

    def startService(self) -> None:
        """Start all timers. The first run of an interval is one interval later."""
        super().startService()
        for runner in self._runners:
            runner.start()

    def stopService(self) -> None:
        """Start no further run. A run that has begun goes on."""
        super().stopService()
        for runner in self._runners:
            runner.stop()


@attrs.define(eq=False)
class _TimerRunner:
    """Runs one timer."""

    log = Logger(observer=line_limit)

    _reactor: IReactorTime
    _wall_time: Callable[[], float]
    _timer: Timer
    _trigger: Callable[[str], Deferred[bool]]
    _metrics: Metrics
    _turns: Turns
    _rule: Rule = attrs.field(init=False)
    # All runs up to this time were started or skipped.
    _handled_until: float = attrs.field(default=0, init=False)
    _call: IDelayedCall | None = attrs.field(default=None, init=False)
    _is_running: bool = attrs.field(default=False, init=False)
    _skipped: int = attrs.field(default=0, init=False)
    _next_log: float = attrs.field(default=-inf, init=False)

    def start(self) -> None:
        for counts in self._outcomes():
            counts[self._timer.name] += 0
        now = self._now()
        self._rule = self._timer.rule.starting_at(now)
        self._handled_until = now
        self.log.info(
            "Timer {name} is due {rule}; it is {now} here",
            name=self._timer.name,
            rule=str(self._rule),
            now=datetime.fromtimestamp(self._wall_time())
            .astimezone()
            .isoformat(timespec="seconds"),
        )
        self._sleep(now)

    def stop(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _now(self) -> float:
        return self._wall_time() if self._timer.rule.uses_wall_clock else self._reactor.seconds()

    def _sleep(self, now: float) -> None:
        delay = min(self._rule.next_after(self._handled_until) - now, _MAX_SLEEP)
        self._call = self._reactor.callLater(delay, self._check)

    def _check(self) -> None:
        now = self._now()
        count = self._rule.count(self._handled_until, now)
        due = self._rule.last_between(max(self._handled_until, now - _MAX_DELAY), now)
        if now > self._handled_until or now < self._handled_until - self._rule.max_setback:
            self._handled_until = now
        self._sleep(now)
        missed = self._turns.missed(count if due is None else count - 1)
        self._count_skipped(missed, _UNDER_WAY if self._is_running else _MISSED)
        if due is not None:
            taken = maybeDeferred(self._turns.take, self._timer.name, due)
            taken.addCallbacks(self._taken, self._failed)

    def _taken(self, turn: Turn) -> None:
        """Run, if it is this process's turn, and none is under way."""
        if turn is Turn.OURS and not self._is_running:
            self._run()
        elif turn is Turn.UNKNOWN:
            self._count_skipped(1, "the bus between the gateways is away")
        elif turn is not Turn.OTHERS:
            self._count_skipped(1, _UNDER_WAY)

    def _run(self) -> None:
        self._metrics.timer_runs += 1
        self._is_running = True
        run = maybeDeferred(self._trigger, self._timer.name)
        run.addErrback(self._failed)
        run.addCallback(self._finished)

    def _failed(self, failure: Failure) -> bool:
        self.log.failure("Timer {name} failed", failure, name=self._timer.name)
        return False

    def _finished(self, has_replied: bool) -> None:
        self._is_running = False
        self._turns.end(self._timer.name)
        replied, failed, _ = self._outcomes()
        counts = replied if has_replied else failed
        counts[self._timer.name] += 1

    def _outcomes(self) -> tuple[LabelledCounts, LabelledCounts, LabelledCounts]:
        """Return what counts the runs that are replied to, that fail, and that are skipped."""
        metrics = self._metrics
        return metrics.timer_runs_replied, metrics.timer_runs_failed, metrics.timer_runs_skipped

    def _count_skipped(self, count: int, reason: str) -> None:
        self._metrics.timer_runs_skipped[self._timer.name] += count
        self._skipped += count
        now = self._reactor.seconds()
        if count and now >= self._next_log:
            self.log.warn(
                "Timer {name}: skipped {count} runs, because {reason}",
                name=self._timer.name,
                count=self._skipped,
                reason=reason,
            )
            self._skipped = 0
            self._next_log = now + _LOG_INTERVAL
