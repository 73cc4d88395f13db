"""Tests for :mod:`phpgw.backend.deadlines`."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.deadlines import Deadlines


class DeadlinesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.expired: list[tuple[str, float]] = []
        self.deadlines: Deadlines[str] = Deadlines(self.clock, 10, self.expire)

    def expire(self, name: str) -> None:
        self.expired.append((name, self.clock.seconds()))

    def test_each_has_its_time(self) -> None:
        for name in "abc":
            self.deadlines.start(name)
            self.clock.advance(1)
        self.assertEqual(1, len(self.clock.getDelayedCalls()))
        self.clock.pump([1] * 10)
        self.assertEqual([("a", 10), ("b", 11), ("c", 12)], self.expired)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_started_anew(self) -> None:
        """It is then due after those that were started in the meantime."""
        for name in "abc":
            self.deadlines.start(name)
            self.clock.advance(1)
        self.deadlines.start("a")
        self.clock.pump([1] * 10)
        self.assertEqual([("b", 11), ("c", 12), ("a", 13)], self.expired)

    def test_stopped(self) -> None:
        for name in "abc":
            self.deadlines.start(name)
            self.clock.advance(1)
        self.deadlines.stop("a")
        self.deadlines.stop("c")
        self.deadlines.stop("never started")
        self.clock.pump([1] * 10)
        self.assertEqual([("b", 11)], self.expired)
        self.deadlines.start("a")
        self.clock.advance(10)
        self.assertEqual(("a", 23), self.expired[-1])

    def test_started_by_whoever_hears_of_it(self) -> None:
        self.deadlines = Deadlines(self.clock, 10, lambda name: self.deadlines.start(name))
        for name in "abc":
            self.deadlines.start(name)
        self.clock.advance(10)
        [call] = self.clock.getDelayedCalls()
        self.assertEqual(20, call.getTime())

    def test_closed(self) -> None:
        self.deadlines.close()
        self.deadlines.start("a")
        self.deadlines.close()
        self.assertEqual([], self.clock.getDelayedCalls())
