"""Tests for :mod:`phpgw.process.reactor_lag`."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.histogram import Histogram
from phpgw.process.reactor_lag import ReactorLag


class ReactorLagTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.lag = Histogram()
        self.service = ReactorLag(self.clock, self.lag)
        self.service.startService()

    def test_idle(self) -> None:
        """A reactor that has nothing to do is not late."""
        for _ in range(5):
            self.clock.advance(1)
        self.assertEqual((5, 0.0), (sum(self.lag.counts), self.lag.total))

    def test_busy(self) -> None:
        """A reactor that was busy is late by what was left to do at that time."""
        self.clock.advance(1)
        self.clock.advance(1.25)
        self.assertEqual((2, 0.25), (sum(self.lag.counts), self.lag.total))
        # It counts from then on: what was late once is not late for ever.
        self.clock.advance(1)
        self.assertEqual((3, 0.25), (sum(self.lag.counts), self.lag.total))

    def test_stop(self) -> None:
        self.service.stopService()
        self.assertEqual([], self.clock.getDelayedCalls())
