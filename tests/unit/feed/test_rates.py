"""Tests for :mod:`phpgw.feed.rates`."""

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.feed.rates import RateMeter
from phpgw.metrics import Metrics
from phpgw.snapshot import Snapshot


class RateMeterTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.metrics = Metrics()
        self.meter = RateMeter(self.clock.seconds)

    def measure(self) -> Any:
        self.meter.measure(Snapshot.of(self.metrics))
        return self.meter.last()

    def test_rates(self) -> None:
        self.metrics.messages_received, self.metrics.clients_now = 10, 3
        self.measure()
        for count in (4, 8):
            for _ in range(count):
                self.metrics.events["server"].count("replied", 0.002, 0.02, 0.03)
            self.metrics.events["timer"].count("failed", 0, None, 0)
            self.clock.advance(2)
            stats = self.measure()
        self.assertEqual((stats["messages_received"], stats["clients_now"]), (10, 3))
        self.assertEqual(stats["rates"]["messages_received"], 0)
        self.assertNotIn("clients_now", stats["rates"])
        expected = {"replied": 4.0, "failed": 0.5, "refused": 0.0, "withdrawn": 0.0}
        self.assertEqual(stats["outcomes"], expected)
        self.assertGreater(stats["php_ms"]["p50"], 10)
        self.assertLessEqual(stats["php_ms"]["p99"], 25)

    def test_nothing_to_compare(self) -> None:
        """Nothing is known before the first measurement, and nothing has grown at it."""
        self.assertIsNone(self.meter.last())
        self.metrics.messages_received = 7
        stats = self.measure()
        self.assertEqual((stats["messages_received"], stats["rates"]["messages_received"]), (7, 0))
        self.assertEqual(stats["wait_ms"], {"p50": None, "p95": None, "p99": None})

    def test_less(self) -> None:
        """What a worker has counted and not reported before it was killed is no negative rate."""
        self.metrics.messages_received = 5
        self.metrics.events["server"].count("replied", 0, 0, 0)
        self.measure()
        self.metrics = Metrics()
        self.clock.advance(1)
        stats = self.measure()
        self.assertEqual(stats["rates"]["messages_received"], 0)
        self.assertEqual(stats["outcomes"]["replied"], 0)
        self.assertIsNone(stats["php_ms"]["p50"])
