"""Tests for :mod:`phpgw.seldom`."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.seldom import Seldom


class SeldomTests(SynchronousTestCase):
    def test_flood(self) -> None:
        """The first is told at once, and from then on how many there were, now and then."""
        clock = Clock()
        seldom = Seldom(clock.seconds)
        told = []
        for _ in range(25):
            told.append(seldom.count())
            clock.advance(1)
        self.assertEqual([1, 10, 10], [count for count in told if count])
        clock.advance(3600)
        self.assertEqual(5, seldom.count())

    def test_now_and_then(self) -> None:
        clock = Clock()
        seldom = Seldom(clock.seconds)
        for _ in range(3):
            self.assertEqual(1, seldom.count())
            clock.advance(11)
