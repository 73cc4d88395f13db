"""Tests for :mod:`phpgw.histogram`."""

from math import inf

from twisted.trial.unittest import SynchronousTestCase

from phpgw.histogram import BOUNDS, EventMetrics, Histogram, quantile


class HistogramTests(SynchronousTestCase):
    def test_bounds(self) -> None:
        """They ascend, and include the durations that equal them, as in Prometheus."""
        self.assertEqual([*BOUNDS], sorted({*BOUNDS}))
        histogram = Histogram()
        for seconds in (0.0, 0.001, 0.0011, 10.0, 10.1, 1e9):
            histogram.observe(seconds)
        counts = dict(histogram.cumulative())
        self.assertEqual((counts[0.001], counts[0.0025], counts[10.0], counts[inf]), (2, 3, 4, 6))
        self.assertEqual(histogram.total, 1e9 + 20.1021)

    def test_empty(self) -> None:
        counts = [count for _, count in Histogram().cumulative()]
        self.assertEqual(counts, [0] * (len(BOUNDS) + 1))


class EventMetricsTests(SynchronousTestCase):
    def test_php_was_not_asked(self) -> None:
        """Then it counts for the other durations alone."""
        metrics = EventMetrics()
        metrics.count("replied", 1.0, 2.0, 4.0)
        metrics.count("refused", 8.0, None, 8.0)
        counts = {"replied": 1, "failed": 0, "refused": 1, "withdrawn": 0}
        self.assertEqual(metrics.outcomes, counts)
        self.assertEqual(
            (metrics.waiting.total, metrics.php.total, metrics.whole.total), (9.0, 2.0, 12.0)
        )
        self.assertEqual((sum(metrics.php.counts), sum(metrics.whole.counts)), (1, 2))


class QuantileTests(SynchronousTestCase):
    def test_quantiles(self) -> None:
        """As Prometheus does it: a bucket's durations count as evenly spread."""
        histogram = Histogram()
        self.assertIsNone(quantile(histogram.counts, 0.5))
        for _ in range(10):
            histogram.observe(0.02)
        self.assertAlmostEqual(quantile(histogram.counts, 0.5) or 0, 0.0175)
        self.assertAlmostEqual(quantile(histogram.counts, 1) or 0, 0.025)

    def test_beyond_the_last_bound(self) -> None:
        """All that is known is that it was longer."""
        histogram = Histogram()
        histogram.observe(99)
        self.assertEqual(quantile(histogram.counts, 0.5), BOUNDS[-1])
