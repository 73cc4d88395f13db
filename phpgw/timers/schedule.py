"""Timers: PHP is told when their time has come, and never of a time that has passed."""

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

from phpgw.log_limit import line_limit
from phpgw.metrics import Metrics
from phpgw.timers.rules import Rule, Timer

# Seconds that a run may be late. One that is later was missed: the process was stopped, the machine
# suspended, or the clock set.
_MOST_LATE = 60
# Seconds after which to look at the clock anew: while the reactor waits, it does not notice that
# the clock was set or the machine suspended.
_LONGEST_SLEEP = 60
# Seconds for which nothing more is said about a timer that skips runs.
_SILENCE = 600


class Schedule(Service):
    """Runs timers, each at most once at a time.

    A run that is due while the one before is under way, or whose time was missed, is skipped and
    counted; it is not made up for.

    :param trigger: called with a timer's name; fires when that run is over.
    :param wall_time: tells the time of day, by which cron's rules go.
    """

    log = Logger(observer=line_limit)

    def __init__(
        self,
        reactor: IReactorTime,
        timers: Iterable[Timer],
        trigger: Callable[[str], Deferred[None]],
        metrics: Metrics,
        wall_time: Callable[[], float] = time.time,
    ) -> None:
        self._clocks = [_Clock(reactor, wall_time, timer, trigger, metrics) for timer in timers]

    def startService(self) -> None:
        """Begin; an interval's first run is one interval away."""
        super().startService()
        for clock in self._clocks:
            clock.start()

    def stopService(self) -> None:
        """Begin no further run; one that is under way goes on."""
        super().stopService()
        for clock in self._clocks:
            clock.stop()


@attrs.define(eq=False)
class _Clock:
    """One timer's clock."""

    log = Logger(observer=line_limit)

    _reactor: IReactorTime
    _wall_time: Callable[[], float]
    _timer: Timer
    _trigger: Callable[[str], Deferred[None]]
    _metrics: Metrics
    _rule: Rule = attrs.field(init=False)
    # Until when all that was due is settled.
    _settled: float = attrs.field(default=0, init=False)
    _call: IDelayedCall | None = attrs.field(default=None, init=False)
    _is_under_way: bool = attrs.field(default=False, init=False)
    _skipped: int = attrs.field(default=0, init=False)
    _silent_until: float = attrs.field(default=-inf, init=False)

    def start(self) -> None:
        now = self._now()
        self._rule = self._timer.rule.since(now)
        self._settled = now
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
        return self._wall_time() if self._timer.rule.by_time_of_day else self._reactor.seconds()

    def _sleep(self, now: float) -> None:
        delay = min(self._rule.after(self._settled) - now, _LONGEST_SLEEP)
        self._call = self._reactor.callLater(delay, self._look)

    def _look(self) -> None:
        now = self._now()
        due = self._rule.count(self._settled, now)
        is_timely = self._rule.after(max(self._settled, now - _MOST_LATE)) <= now
        if now > self._settled or now < self._settled - self._rule.unrepeated:
            self._settled = now
        self._sleep(now)
        if is_timely and not self._is_under_way:
            self._skip(due - 1)
            self._run()
        else:
            self._skip(due)

    def _run(self) -> None:
        self._metrics.timer_runs += 1
        self._is_under_way = True
        run = maybeDeferred(self._trigger, self._timer.name)
        run.addErrback(self._failed)
        run.addCallback(self._over)

    def _failed(self, failure: Failure) -> None:
        self.log.failure("Timer {name} failed", failure, name=self._timer.name)

    def _over(self, outcome: object) -> None:
        self._is_under_way = False

    def _skip(self, count: int) -> None:
        self._metrics.timer_runs_skipped += count
        self._skipped += count
        now = self._reactor.seconds()
        if count and now >= self._silent_until:
            self.log.warn(
                "Timer {name}: skipped {count} runs, because {reason}",
                name=self._timer.name,
                count=self._skipped,
                reason="one was still under way" if self._is_under_way else "their time was missed",
            )
            self._skipped = 0
            self._silent_until = now + _SILENCE
