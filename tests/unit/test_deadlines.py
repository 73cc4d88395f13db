"""Tests for :mod:`phpgw.deadlines`."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.deadlines import Deadlines


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

    def test_others_due_at_the_same_time(self) -> None:
        """Who is stopped or started anew by another's call does not expire with it."""

        def expire(name: str) -> None:
            self.expire(name)
            if name == "a":
                self.deadlines.stop("b")
                self.deadlines.start("c")

        self.deadlines = Deadlines(self.clock, 10, expire)
        for name in "abcd":
            self.deadlines.start(name)
        self.clock.advance(10)
        self.assertEqual([("a", 10), ("d", 10)], self.expired)
        self.clock.advance(10)
        self.assertEqual(("c", 20), self.expired[-1])

    def test_closed(self) -> None:
        self.deadlines.close()
        self.deadlines.start("a")
        self.deadlines.close()
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_again(self) -> None:
        """A timeout that is started again counts from then."""
        self.deadlines.start("one")
        self.deadlines.start("other")
        self.clock.pump([1] * 4)
        self.deadlines.start("one")
        self.clock.pump([1] * 30)
        self.assertEqual([("other", 10), ("one", 14)], self.expired)

    def test_seconds_left(self) -> None:
        self.deadlines.start("one")
        self.clock.pump([1] * 4)
        self.assertEqual(6, self.deadlines.seconds_left("one"))
        for _ in range(2):
            self.deadlines.stop("one")
            self.assertEqual(0, self.deadlines.seconds_left("one"))
        self.clock.pump([1] * 30)
        self.assertEqual([], self.expired)

    def test_one_timer(self) -> None:
        for name in "abcde":
            self.deadlines.start(name)
            self.clock.pump([1])
        self.assertEqual(1, len(self.clock.getDelayedCalls()))
        self.clock.pump([1] * 10)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_exception(self) -> None:
        """What it leaves behind expires all the same."""

        def expire(name: str) -> None:
            self.expire(name)
            if name == "a":
                raise ZeroDivisionError

        self.deadlines = Deadlines(self.clock, 10, expire)
        for name in "ab":
            self.deadlines.start(name)
        self.assertRaises(ZeroDivisionError, self.clock.advance, 10)
        self.clock.advance(0)
        self.assertEqual(["a", "b"], [name for name, _ in self.expired])
        self.deadlines.start("c")
        self.clock.advance(10)
        self.assertEqual(("c", 20), self.expired[-1])
