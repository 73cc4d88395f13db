"""Tests for :mod:`phpgw.process.monotonic_clock`."""

import time
from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.trial.unittest import SynchronousTestCase

from phpgw.process.monotonic_clock import use_monotonic_time


class MonotonicTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor: Any = EPollReactor()
        self.addCleanup(self.close)
        use_monotonic_time(self.reactor)

    def close(self) -> None:
        self.reactor.removeAll()
        self.reactor._poller.close()

    def test_time(self) -> None:
        before = time.monotonic()
        self.assertTrue(before <= self.reactor.seconds() <= time.monotonic())

    def test_calls(self) -> None:
        """Delayed calls, their resets and the reactor's wait use the monotonic clock."""
        call = self.reactor.callLater(1000, lambda: None)
        due = time.monotonic() + 1000
        self.assertApproximates(due, call.getTime(), 10)
        self.assertApproximates(1000, self.reactor.timeout(), 10)
        call.reset(3000)
        self.assertApproximates(due + 2000, call.getTime(), 10)

    def test_others(self) -> None:
        """Only this reactor is changed."""
        self.assertApproximates(time.time(), EPollReactor.seconds(), 10)
