"""Tests for :mod:`phpgw.websocket.keepalive`."""

from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.websocket.keepalive import KeepAlive


class StrictClock(Clock):
    """A clock that takes no negative delays, like a real reactor."""

    def callLater(self, delay: float, *call: Any, **named: Any) -> IDelayedCall:  # noqa: N802
        assert delay >= 0
        return super().callLater(delay, *call, **named)


class KeepAliveTests(SynchronousTestCase):
    def start(self, interval: float = 25, timeout: float = 10) -> KeepAlive:
        self.clock = StrictClock()
        self.pings: list[float] = []
        self.lost_at: list[float] = []
        keep_alive = KeepAlive(
            self.clock,
            interval,
            timeout,
            ping=lambda: self.pings.append(self.clock.seconds()),
            on_timeout=lambda: self.lost_at.append(self.clock.seconds()),
        )
        keep_alive.start()
        return keep_alive

    def let_pass(self, seconds: int) -> None:
        self.clock.pump([1] * seconds)

    def test_answered(self) -> None:
        """Pings are sent at the interval while the peer responds in time."""
        keep_alive = self.start()
        for _ in range(3):
            self.let_pass(25)
            keep_alive.has_data = True
        self.let_pass(9)
        self.assertEqual([25, 50, 75], self.pings)
        self.assertEqual([], self.lost_at)

    def test_last_moment(self) -> None:
        keep_alive = self.start()
        self.let_pass(34)
        keep_alive.has_data = True
        self.let_pass(16)
        self.assertEqual(([25, 50], []), (self.pings, self.lost_at))

    def test_silence(self) -> None:
        """Without a response, the timeout is called once, and no more pings are sent."""
        self.start()
        self.let_pass(34)
        self.assertEqual([], self.lost_at)
        self.let_pass(100)
        self.assertEqual(([25], [35]), (self.pings, self.lost_at))

    def test_heard_before(self) -> None:
        """Data before the ping is no response to it."""
        keep_alive = self.start()
        self.let_pass(24)
        keep_alive.has_data = True
        self.let_pass(11)
        self.assertEqual([35], self.lost_at)

    def test_lost_later(self) -> None:
        keep_alive = self.start()
        self.let_pass(26)
        keep_alive.has_data = True
        self.let_pass(34)
        self.assertEqual(([25, 50], [60]), (self.pings, self.lost_at))

    def test_no_timeout(self) -> None:
        """With a timeout of 0, pings go on without a response."""
        self.start(interval=5, timeout=0)
        self.let_pass(100)
        self.assertEqual(list(range(5, 101, 5)), self.pings)
        self.assertEqual([], self.lost_at)

    def test_stop(self) -> None:
        """After a stop there are no timers; a second stop does nothing."""
        for seconds in (0, 10, 26):
            keep_alive = self.start()
            self.let_pass(seconds)
            keep_alive.stop()
            keep_alive.stop()
            self.assertEqual([], self.clock.getDelayedCalls())
