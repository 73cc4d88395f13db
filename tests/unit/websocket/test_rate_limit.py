"""Tests for :mod:`phpgw.websocket.rate_limit`."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.websocket.rate_limit import FRAGMENT, MESSAGE, RateLimit, TokenBucket


class AllowanceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.bucket = TokenBucket(RateLimit(messages=10, patience=30))

    def take(self, count: float = MESSAGE) -> float:
        return self.bucket.take(count, self.clock.seconds())

    def is_out_of_patience(self) -> bool:
        return self.bucket.is_out_of_patience(self.clock.seconds())

    def take_until_told(self, count: float = MESSAGE) -> tuple[int, float]:
        """Return the number of messages within the limit, and the pause after the next."""
        taken = 0
        while not (pause := self.take(count)):
            taken += 1
        return taken, pause

    def assert_near(self, expected: float, actual: float, distance: float) -> None:
        self.assertLessEqual(abs(expected - actual), distance, actual)

    def test_a_seconds_worth_at_once(self) -> None:
        taken, pause = self.take_until_told()
        self.assert_near(10, taken, 1)
        self.assert_near(0.1, pause, 0.001)

    def test_steady_and_within_the_rate(self) -> None:
        for _ in range(1000):
            self.assertEqual(0, self.take())
            self.clock.advance(0.11)

    def test_as_many_as_the_rate_in_the_long_run(self) -> None:
        """For one that sends whatever it may."""
        start, taken = self.clock.seconds(), 0
        while self.clock.seconds() < start + 100:
            count, pause = self.take_until_told()
            taken += count + 1
            self.clock.advance(pause)
        self.assert_near(1010, taken, 5)

    def test_saved_up(self) -> None:
        """Never more than a second's worth."""
        self.take_until_told()
        for idle, expected in ((0.5, 4), (1.0, 10), (3600, 10)):
            self.clock.advance(idle + 0.1)
            self.assert_near(expected, self.take_until_told()[0], 1)

    def test_fragments(self) -> None:
        """Eight of them count like a message."""
        self.assert_near(80, self.take_until_told(FRAGMENT)[0], 1)

    def test_pauses_are_worth_a_timer(self) -> None:
        """However many may come."""
        self.bucket = TokenBucket(RateLimit(messages=100_000, patience=30))
        taken, pause = self.take_until_told()
        self.assert_near(100_000, taken, 1)
        self.assertEqual(0.1, pause)
        self.clock.advance(pause)
        self.assert_near(10_000, self.take_until_told()[0], 1)

    def test_patience(self) -> None:
        """A peer that never stays below the rate exceeds the patience."""
        self.assertFalse(self.is_out_of_patience())
        start = self.clock.seconds()
        while not self.is_out_of_patience():
            self.clock.advance(self.take_until_told()[1])
        self.assert_near(30, self.clock.seconds() - start, 0.2)

    def test_patience_with_bursts(self) -> None:
        """Bursts with rests in between are allowed without end."""
        for _ in range(100):
            for _ in range(5):
                self.clock.advance(self.take_until_told()[1])
            self.assertFalse(self.is_out_of_patience())
            self.clock.advance(1.1)
            self.assertEqual(0, self.take())
            self.assertFalse(self.is_out_of_patience())

    def test_clock_that_is_set(self) -> None:
        """Back by an hour: the pause does not get longer."""
        self.take()
        self.clock.rightNow -= 3600
        self.assertLess(self.take_until_told()[1], 0.2)
        self.clock.rightNow -= 3600
        self.assertLess(self.take_until_told()[1], 0.2)
