"""Tests for :mod:`phpgw.websocket.keepalive`."""

from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.deadlines import Deadlines
from phpgw.websocket.keepalive import KeepAlive, PingedConnection


class StrictClock(Clock):
    """A clock that takes no negative delays, like a real reactor."""

    def callLater(self, delay: float, *call: Any, **named: Any) -> IDelayedCall:  # noqa: N802
        assert delay >= 0
        return super().callLater(delay, *call, **named)


class PingedPeer:
    """A connection that notes when it is pinged, and when it is taken for lost."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.has_data = False
        self.ping_deadlines: Deadlines[PingedConnection] | None = None
        self.pings: list[float] = []
        self.lost_at: list[float] = []
        self.responses = 0

    def sendPing(self) -> None:  # noqa: N802
        self.pings.append(self._clock.seconds())

    def note_response(self) -> None:
        self.responses += 1

    def end_silent(self) -> None:
        self.lost_at.append(self._clock.seconds())


class KeepAliveTests(SynchronousTestCase):
    def start(self, interval: float = 25, timeout: float = 10) -> PingedPeer:
        self.clock = StrictClock()
        self.keep_alive = KeepAlive(self.clock, interval, timeout)
        self.peer = PingedPeer(self.clock)
        self.keep_alive.start(self.peer)
        return self.peer

    def let_pass(self, seconds: int) -> None:
        self.clock.pump([1] * seconds)

    def test_answered(self) -> None:
        """Pings are sent at the interval while the peer responds in time."""
        peer = self.start()
        for _ in range(3):
            self.let_pass(25)
            peer.has_data = True
        self.let_pass(9)
        self.assertEqual([25, 50, 75], self.peer.pings)
        self.assertEqual([], self.peer.lost_at)
        self.assertEqual(2, self.peer.responses)

    def test_last_moment(self) -> None:
        peer = self.start()
        self.let_pass(34)
        peer.has_data = True
        self.let_pass(16)
        self.assertEqual(([25, 50], []), (self.peer.pings, self.peer.lost_at))

    def test_silence(self) -> None:
        """Without a response, the timeout is called once, and no more pings are sent."""
        self.start()
        self.let_pass(34)
        self.assertEqual([], self.peer.lost_at)
        self.let_pass(100)
        self.assertEqual(([25], [35]), (self.peer.pings, self.peer.lost_at))

    def test_heard_before(self) -> None:
        """Data before the ping is no response to it."""
        peer = self.start()
        self.let_pass(24)
        peer.has_data = True
        self.let_pass(11)
        self.assertEqual([35], self.peer.lost_at)

    def test_lost_later(self) -> None:
        peer = self.start()
        self.let_pass(26)
        peer.has_data = True
        self.let_pass(34)
        self.assertEqual(([25, 50], [60]), (self.peer.pings, self.peer.lost_at))

    def test_no_timeout(self) -> None:
        """With a timeout of 0, pings go on without a response."""
        self.start(interval=5, timeout=0)
        self.let_pass(100)
        self.assertEqual(list(range(5, 101, 5)), self.peer.pings)
        self.assertEqual([], self.peer.lost_at)

    def test_stop(self) -> None:
        """After a stop there are no pings, and no timeout; a second stop does nothing."""
        for seconds in (0, 10, 26):
            peer = self.start()
            self.let_pass(seconds)
            pings = [*peer.pings]
            self.keep_alive.stop(peer)
            self.keep_alive.stop(peer)
            self.let_pass(100)
            self.assertEqual((pings, []), (peer.pings, peer.lost_at))
            self.assertEqual([], self.clock.getDelayedCalls())

    def test_each_has_its_time(self) -> None:
        """Connections share timers, and nothing else."""
        first = self.start()
        self.let_pass(5)
        second = PingedPeer(self.clock)
        self.keep_alive.start(second)
        self.let_pass(25)
        second.has_data = True
        self.let_pass(30)
        self.assertEqual(([25], [35]), (first.pings, first.lost_at))
        self.assertEqual(([30, 55], []), (second.pings, second.lost_at))

    def test_closed_by_the_ping(self) -> None:
        """A connection that ends while it is pinged is not waited for."""
        peer = self.start()
        peer.sendPing = lambda: self.keep_alive.stop(peer)  # type: ignore[method-assign]
        self.let_pass(100)
        self.assertEqual([], peer.lost_at)
