"""Tests for :mod:`phpgw.feed.rates`."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.feed.rates import RateMeter
from phpgw.metrics import Metrics


class RateMeterTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.metrics = Metrics()
        self.meter = RateMeter(self.metrics, self.clock.seconds)

    def test_rates(self) -> None:
        self.metrics.messages_received, self.metrics.clients_now = 10, 3
        for count in (4, 8):
            for _ in range(count):
                self.metrics.events["server"].count("replied", 0.002, 0.02, 0.03)
            self.metrics.events["timer"].count("failed", 0, None, 0)
            self.clock.advance(2)
            self.meter.measure()
        stats = self.meter.last()
        self.assertEqual((stats["messages_received"], stats["clients_now"]), (10, 3))
        self.assertEqual(stats["rates"]["messages_received"], 0)
        self.assertNotIn("clients_now", stats["rates"])
        expected = {"replied": 4.0, "failed": 0.5, "refused": 0.0, "withdrawn": 0.0}
        self.assertEqual(stats["outcomes"], expected)
        self.assertGreater(stats["php_ms"]["p50"], 10)
        self.assertLessEqual(stats["php_ms"]["p99"], 25)

    def test_nothing_has_happened(self) -> None:
        """There is no time then, and a rate of 0, also at the very beginning."""
        stats = self.meter.last()
        self.assertEqual(stats["rates"]["messages_received"], 0)
        self.assertEqual(stats["wait_ms"], {"p50": None, "p95": None, "p99": None})
