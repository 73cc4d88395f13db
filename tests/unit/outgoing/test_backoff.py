"""Tests for :mod:`phpgw.outgoing.backoff`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.outgoing.backoff import Backoff


class BackoffTests(SynchronousTestCase):
    def test_full_jitter(self) -> None:
        """A delay is anywhere from none to the limit, so that not all connect at once."""
        delays = []
        for _ in range(500):
            backoff = Backoff()
            for _ in range(3):
                backoff.take()
            delays.append(backoff.take())
        self.assertTrue(0 <= min(delays) < 1 and 7 < max(delays) <= 8)

    def test_limits(self) -> None:
        backoff = Backoff(lambda low, high: high)
        self.assertEqual([1, 2, 4, 8, 16, 32, 60, 60], [backoff.take() for _ in range(8)])
        backoff.ended(29.9)
        self.assertEqual(60, backoff.take())
        backoff.ended(30)
        self.assertEqual(1, backoff.take())
