"""Tests for :mod:`phpgw.php.waiting`."""

from typing import Any

from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from phpgw.metrics import Metrics
from phpgw.php.waiting import Overloaded, WaitingLimits


class WaitingLimitsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock: Any = Clock()
        self.metrics = Metrics()
        self.limits = self.make()

    def make(self, count: int = 3, seconds: float = 60) -> WaitingLimits:
        return WaitingLimits(self.clock, count, seconds, self.metrics)

    def test_count(self) -> None:
        self.assertIsNone(self.limits.too_many(2))
        error = self.limits.too_many(3)
        self.assertIsInstance(error, Overloaded)
        self.assertEqual(str(error), "3 events wait for PHP already")
        self.assertEqual(self.metrics.events_refused_by_overload, 1)

    def test_time(self) -> None:
        since = self.limits.now()
        self.clock.advance(60)
        self.assertIsNone(self.limits.too_long(since))
        self.clock.advance(0.1)
        error = self.limits.too_long(since)
        self.assertIsInstance(error, Overloaded)
        self.assertEqual(str(error), "PHP had no time for it within 60 s")
        self.assertEqual(self.metrics.events_refused_by_overload, 1)

    def test_for_ever(self) -> None:
        limits = self.make(seconds=0)
        self.clock.advance(10_000)
        self.assertIsNone(limits.too_long(0))

    def test_start_anew(self) -> None:
        """For all who wait."""
        self.clock.advance(1000)
        self.limits.start_anew()
        self.assertIsNone(self.limits.too_long(0))
        self.clock.advance(60)
        self.assertIsNone(self.limits.too_long(0))
        self.clock.advance(1)
        self.assertIsNotNone(self.limits.too_long(0))

    def test_said_once_in_a_while(self) -> None:
        """For each reason under an id that all share who fail meanwhile."""
        self.clock.advance(1000)
        for reason, fails in (
            ("3 events wait for PHP already", lambda: self.limits.too_many(3)),
            ("PHP had no time for it within 60 s", lambda: self.limits.too_long(0)),
        ):
            ids = set()
            with capturedLogs() as events:
                for _ in range(5):
                    error = fails()
                    assert error is not None
                    ids.add(error.error_id)
            [event] = events
            self.assertEqual((event["log_level"], event["reason"]), (LogLevel.error, reason))
            self.assertEqual(event["count"], 1)
            self.assertEqual(ids, {event["error_id"]})
            self.clock.advance(60)
            with capturedLogs() as events:
                error = fails()
            [event] = events
            self.assertEqual(event["count"], 5)
            assert error is not None
            self.assertEqual(error.error_id, event["error_id"])
            self.assertNotIn(error.error_id, ids)
