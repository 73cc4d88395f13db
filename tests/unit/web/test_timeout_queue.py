"""Tests for :mod:`phpgw.web.timeout_queue`."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.web.timeout_queue import TimeoutQueue


class _Timed:
    """Notes when it times out."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.at: list[float] = []

    def timeoutConnection(self) -> None:  # noqa: N802
        self.at.append(self._clock.seconds())


class TimeoutQueueTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.queue = TimeoutQueue(self.clock, 10)
        self.one, self.other = _Timed(self.clock), _Timed(self.clock)

    def pass_seconds(self, seconds: int) -> None:
        self.clock.pump([1] * seconds)

    def test_each_at_its_time(self) -> None:
        self.queue.start(self.one)
        self.pass_seconds(3)
        self.queue.start(self.other)
        self.pass_seconds(30)
        self.assertEqual(([10], [13]), (self.one.at, self.other.at))

    def test_again(self) -> None:
        """A timeout that is started again counts from then."""
        self.queue.start(self.one)
        self.queue.start(self.other)
        self.pass_seconds(4)
        self.queue.start(self.one)
        self.pass_seconds(30)
        self.assertEqual(([14], [10]), (self.one.at, self.other.at))

    def test_stopped(self) -> None:
        self.queue.start(self.one)
        self.pass_seconds(4)
        self.assertEqual(6, self.queue.seconds_left(self.one))
        for _ in range(2):
            self.queue.stop(self.one)
            self.assertEqual(0, self.queue.seconds_left(self.one))
        self.pass_seconds(30)
        self.assertEqual([], self.one.at)

    def test_one_timer(self) -> None:
        for _ in range(5):
            self.queue.start(_Timed(self.clock))
            self.pass_seconds(1)
        self.assertEqual(1, len(self.clock.getDelayedCalls()))
        self.pass_seconds(10)
        self.assertEqual([], self.clock.getDelayedCalls())
