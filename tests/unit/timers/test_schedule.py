"""Tests for :mod:`phpgw.timers.schedule`: which runs are started, and which are skipped."""

from collections.abc import Callable
from datetime import UTC, datetime
from math import ceil
from typing import Any
from zoneinfo import ZoneInfo

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from phpgw.metrics import Metrics
from phpgw.timers.rules import Cron, Every, Rule, Timer
from phpgw.timers.schedule import Schedule

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


class StrictClock(Clock):
    """Refuses calls in the past, like a real reactor."""

    def callLater(self, delay: float, *call: Any, **named: Any) -> IDelayedCall:  # noqa: N802
        assert delay >= 0
        return super().callLater(delay, *call, **named)


class ScheduleTestCase(SynchronousTestCase):
    def start(
        self,
        *rules: Rule,
        at: datetime = NOON,
        trigger: Callable[[str], Deferred[bool]] | None = None,
    ) -> Schedule:
        """Start timers a, b, ... with these rules. Each run ends at once."""
        self.clock = StrictClock()
        # What the reactor goes by has nothing to do with the time of day.
        self.clock.rightNow = 7000
        self.ahead = at.timestamp() - self.clock.rightNow
        self.metrics = Metrics()
        self.runs: list[tuple[str, float]] = []

        def run(name: str) -> Deferred[bool]:
            self.runs.append((name, self.wall_time()))
            return trigger(name) if trigger else succeed(True)

        timers = [Timer(name, rule) for name, rule in zip("abc", rules, strict=False)]
        schedule = Schedule(self.clock, timers, run, self.metrics, self.wall_time)
        schedule.startService()
        self.began = self.wall_time()
        return schedule

    def wall_time(self) -> float:
        return self.clock.seconds() + self.ahead

    def let_pass(self, seconds: float, step: float = 1) -> None:
        self.clock.pump([step] * ceil(seconds / step))

    def times(self, name: str = "a") -> list[float]:
        """Return when a timer ran, in seconds after the start."""
        return [round(time - self.began, 3) for each, time in self.runs if each == name]

    def counts(self) -> tuple[int, int]:
        """Return the numbers of runs and of skipped runs."""
        return self.metrics.timer_runs, self.metrics.timer_runs_skipped.total()


class OutcomeTests(ScheduleTestCase):
    """Each run that was due is counted for its timer, by what became of it."""

    def outcomes(self, name: str) -> tuple[int, int, int]:
        """Return the numbers of runs that PHP replied to, that it failed on, and skipped ones."""
        metrics = self.metrics
        counts = (metrics.timer_runs_replied, metrics.timer_runs_failed, metrics.timer_runs_skipped)
        replied, failed, skipped = (each[name] for each in counts)
        return replied, failed, skipped

    def test_replied_and_failed(self) -> None:
        self.start(Every(10), Every(10), trigger=lambda name: succeed(name == "a"))
        self.let_pass(35)
        self.assertEqual(((3, 0, 0), (0, 3, 0)), (self.outcomes("a"), self.outcomes("b")))

    def test_error(self) -> None:
        self.start(Every(10), trigger=lambda name: fail(ValueError()))
        self.let_pass(15)
        self.assertEqual((0, 1, 0), self.outcomes("a"))
        self.flushLoggedErrors(ValueError)

    def test_skipped(self) -> None:
        """A run is counted when it has ended."""
        run: Deferred[bool] = Deferred()
        self.start(Every(10), trigger=lambda name: run)
        self.let_pass(35)
        self.assertEqual((0, 0, 2), self.outcomes("a"))
        run.callback(True)
        self.assertEqual((1, 0, 2), self.outcomes("a"))

    def test_from_the_start(self) -> None:
        """A timer that was not due yet is there, with 0."""
        self.start(Every(10))
        self.assertEqual({"a": 0}, dict(self.metrics.timer_runs_failed))


class IntervalTests(ScheduleTestCase):
    def test_rhythm(self) -> None:
        """The first run is one interval later, and the others follow."""
        self.start(Every(10))
        self.let_pass(45)
        self.assertEqual([10, 20, 30, 40], self.times())
        self.assertEqual((4, 0), self.counts())

    def test_no_drift(self) -> None:
        """A reactor that is always late does not delay later runs."""
        self.start(Every(1))
        self.let_pass(100, step=0.7)
        for number, time in enumerate(self.times(), 1):
            self.assertTrue(number <= time <= number + 0.7, (number, time))
        self.assertEqual((100, 0), self.counts())

    def test_fast(self) -> None:
        self.start(Every(0.1))
        self.let_pass(10, step=0.01)
        self.assertIn(self.counts(), [(99, 0), (100, 0)])

    def test_longer_than_a_minute(self) -> None:
        self.start(Every(90))
        self.let_pass(300)
        self.assertEqual([90, 180, 270], self.times())

    def test_several(self) -> None:
        """Each timer has its own rule."""
        self.start(Every(10), Every(25))
        self.let_pass(50)
        self.assertEqual([10, 20, 30, 40, 50], self.times("a"))
        self.assertEqual([25, 50], self.times("b"))

    def test_process_was_suspended(self) -> None:
        """There is one run now and none for the past; then the interval continues."""
        self.start(Every(10))
        self.let_pass(15)
        self.clock.advance(3603)
        self.let_pass(12)
        self.assertEqual([10, 3618, 3620, 3630], self.times())
        self.assertEqual((4, 359), self.counts())

    def test_clock_is_set(self) -> None:
        """A change of the clock does not change intervals."""
        for seconds in (3600, -3600, 86400 * 365, -86400 * 365, 0.4, -0.4):
            self.start(Every(10))
            self.let_pass(15)
            self.ahead += seconds
            self.let_pass(25)
            self.assertEqual([10, *(time + seconds for time in (20, 30, 40))], self.times())
            self.assertEqual((4, 0), self.counts())

    def test_long_interval_missed(self) -> None:
        """A run that is late by more than a minute is skipped."""
        self.start(Every(3600))
        self.let_pass(3590)
        self.clock.advance(100)
        self.assertEqual([], self.times())
        self.assertEqual((0, 1), self.counts())
        self.let_pass(3510)
        self.assertEqual([7200], self.times())

    def test_slightly_late(self) -> None:
        self.start(Every(3600))
        self.let_pass(3590)
        self.clock.advance(40)
        self.assertEqual([3630], self.times())
        self.assertEqual((1, 0), self.counts())


class CronTimerTests(ScheduleTestCase):
    def shown(self, zone: ZoneInfo) -> list[str]:
        """Return when timer a ran, in local time."""
        return [
            datetime.fromtimestamp(time, zone).isoformat(" ", "minutes")
            for name, time in self.runs
            if name == "a"
        ]

    def test_time_of_day(self) -> None:
        self.start(Cron("*/5 12 * * *", UTC))
        self.let_pass(86400 - 1, step=15)
        self.assertEqual([300 * number for number in range(1, 12)], self.times()[:11])
        self.assertEqual((12, 0), self.counts())

    def test_summer_time_begins(self) -> None:
        """A skipped time of day: one run, right after the change."""
        for zone, start, times in (
            (BERLIN, datetime(2026, 3, 28, 12), ["2026-03-29 03:00+02:00"]),
            (NEW_YORK, datetime(2026, 3, 7, 12), ["2026-03-08 03:00-04:00"]),
        ):
            self.start(Cron("30 2 * * *", zone), at=start.replace(tzinfo=zone))
            self.let_pass(86400, step=30)
            self.assertEqual(times, self.shown(zone))
            self.assertEqual((1, 0), self.counts())

    def test_summer_time_ends(self) -> None:
        """A time of day that comes twice: one run."""
        for zone, start, expression, times in (
            (BERLIN, datetime(2026, 10, 24, 12), "30 2 * * *", ["2026-10-25 02:30+02:00"]),
            (NEW_YORK, datetime(2026, 10, 31, 12), "30 1 * * *", ["2026-11-01 01:30-04:00"]),
        ):
            self.start(Cron(expression, zone), at=start.replace(tzinfo=zone))
            self.let_pass(86400, step=30)
            self.assertEqual(times, self.shown(zone))
            self.assertEqual((1, 0), self.counts())

    def test_hourly_through_the_change(self) -> None:
        """25 hours have 25 runs."""
        self.start(Cron("0 * * * *", BERLIN), at=datetime(2026, 10, 25, tzinfo=BERLIN))
        self.let_pass(25 * 3600, step=30)
        self.assertEqual((25, 0), self.counts())

    def test_clock_is_set_while_it_waits(self) -> None:
        """It checks the clock each minute, so it follows a change of the clock."""
        self.start(Cron("0 13 * * *", UTC))
        waits = [call.getTime() - self.clock.seconds() for call in self.clock.getDelayedCalls()]
        self.assertEqual([60], waits)
        self.clock.advance(3600 - 20)
        self.let_pass(20)
        self.assertEqual([3600], self.times())
        self.assertEqual((1, 0), self.counts())

    def test_clock_is_set_back(self) -> None:
        """A timer with a time of day runs once; one for every few minutes continues at once."""
        for expression, seconds, minutes, runs in (
            ("0 12 * * *", 30, 65, 0),
            ("0 12 * * *", 3600, 65, 0),
            ("0 12 * * *", 10000, 200, 0),
            ("0 12 * * *", 4 * 3600, 245, 1),
            ("*/5 * * * *", 30, 51, 10),
            ("*/5 * * * *", 3600, 51, 10),
            ("*/5 * * * *", 4 * 3600, 51, 10),
            ("0 * * * *", 30, 51, 0),
            ("0 * * * *", 3600, 65, 1),
        ):
            self.start(Cron(expression, UTC), at=NOON.replace(hour=11, minute=59, second=59))
            self.let_pass(10)
            self.assertEqual((1, 0), self.counts())
            self.ahead -= seconds
            self.let_pass(60 * minutes)
            self.assertEqual((1 + runs, 0), self.counts(), (expression, seconds))

    def test_clock_is_set_beyond_it(self) -> None:
        """A run is late by a few seconds, or missed by hours."""
        for jump, counts in ((10, (1, 0)), (50, (1, 0)), (2 * 3600, (0, 1)), (26 * 3600, (0, 2))):
            self.start(Cron("0 13 * * *", UTC))
            self.let_pass(3590)
            self.ahead += jump
            self.let_pass(10)
            self.assertEqual(counts, self.counts())

    def test_suspended_over_many(self) -> None:
        """The current minute runs, and the minutes before do not."""
        self.start(Cron("* * * * *", UTC))
        self.clock.advance(8 * 3600 + 5)
        self.assertEqual([8 * 3600 + 5], self.times())
        self.assertEqual((1, 8 * 60 - 1), self.counts())


class SlowRunTests(ScheduleTestCase):
    def test_never_two_at_once(self) -> None:
        """A run that is due during another one is skipped, and not repeated."""
        ends: list[Deferred[bool]] = []

        def trigger(name: str) -> Deferred[bool]:
            ends.append(Deferred())
            return ends[-1]

        self.start(Every(10), trigger=trigger)
        self.let_pass(35)
        self.assertEqual(([10], (1, 2)), (self.times(), self.counts()))
        ends[0].callback(True)
        self.let_pass(4)
        self.assertEqual(([10], (1, 2)), (self.times(), self.counts()))
        self.let_pass(15)
        self.assertEqual(([10, 40], (2, 3)), (self.times(), self.counts()))

    def test_others_go_on(self) -> None:
        """A long run does not delay other timers."""
        self.start(
            Every(10),
            Every(10),
            trigger=lambda name: Deferred() if name == "a" else succeed(True),
        )
        self.let_pass(30)
        self.assertEqual(([10], [10, 20, 30]), (self.times("a"), self.times("b")))

    def test_failure(self) -> None:
        """After a failed run, the next one starts."""

        def trigger(name: str) -> Deferred[bool]:
            raise RuntimeError("broken")

        self.start(Every(10), trigger=trigger)
        self.let_pass(30)
        self.assertEqual([10, 20, 30], self.times())
        self.assertEqual(3, len(self.flushLoggedErrors(RuntimeError)))

    def test_log(self) -> None:
        """The first skipped run is logged, and then one line each ten minutes."""
        with capturedLogs() as events:
            self.start(Every(1), trigger=lambda name: Deferred())
            self.let_pass(1250)
        lines = [formatEvent(event) for event in events if event["log_level"].name == "warn"]
        self.assertEqual(
            [
                f"Timer a: skipped {count} runs, because one was still under way"
                for count in (1, 600, 600)
            ],
            lines,
        )

    def test_log_of_missed_runs(self) -> None:
        with capturedLogs() as events:
            self.start(Every(10))
            self.clock.advance(100)
        self.assertIn(
            "Timer a: skipped 9 runs, because their time was missed",
            [formatEvent(event) for event in events],
        )


class ServiceTests(ScheduleTestCase):
    def test_stop(self) -> None:
        """No run begins after a stop. A run that has begun continues."""
        schedule = self.start(Every(10), Cron("* * * * *", UTC), trigger=lambda name: Deferred())
        self.let_pass(15)
        schedule.stopService()
        self.assertEqual([], self.clock.getDelayedCalls())
        self.let_pass(100)
        self.assertEqual((1, 0), self.counts())

    def test_stop_by_a_run(self) -> None:
        def stop(name: str) -> Deferred[bool]:
            schedule.stopService()
            return succeed(True)

        schedule = self.start(Every(10), trigger=stop)
        self.let_pass(30)
        self.assertEqual([10], self.times())

    def test_stop_before_start(self) -> None:
        """This happens when another part of the gateway cannot start."""
        timers = [Timer("a", Every(1))]
        Schedule(Clock(), timers, lambda name: Deferred(), Metrics()).stopService()

    def test_start_anew(self) -> None:
        """Runs that were due in between are not counted."""
        schedule = self.start(Every(10))
        self.let_pass(15)
        schedule.stopService()
        self.let_pass(100)
        schedule.startService()
        self.let_pass(12)
        self.assertEqual([10, 125], self.times())
        self.assertEqual((2, 0), self.counts())

    def test_nothing_to_do(self) -> None:
        self.start()
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_log(self) -> None:
        """At the start, the log has each timer's rule and the time zone."""
        with capturedLogs() as events:
            self.start(Every(0.5), Cron("30 3 * * *"))
        here = NOON.astimezone().isoformat(timespec="seconds")
        self.assertEqual(
            [
                f"Timer a is due every 0.5 s; it is {here} here",
                f"Timer b is due 30 3 * * *; it is {here} here",
            ],
            [formatEvent(event) for event in events],
        )
