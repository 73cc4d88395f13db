"""Tests for :mod:`phpgw.pools.metrics`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.figures import PoolFigures
from phpgw.pools.metrics import describe_pool, pool_families
from phpgw.prometheus.exposition import expose
from phpgw.prometheus.figures import PlainCollector


class MetricsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.figures = PoolFigures(in_use=3, idle=2, waiting=1, opened=9, cleaned=8)
        self.figures.closed["age"] += 4
        self.figures.refused["full"] += 5
        for seconds in (0.0005, 0.03, 20):
            self.figures.waits.observe(seconds)

    def test_families(self) -> None:
        families = pool_families({"db": self.figures}, {"db": 8}, 7)
        text = expose(PlainCollector(families), b"").text.decode()
        for line in (
            'phpgw_pool_connections{pool="db",state="in_use"} 3.0',
            'phpgw_pool_connections{pool="db",state="opening"} 0.0',
            'phpgw_pool_size{pool="db"} 8.0',
            'phpgw_pool_waiting{pool="db"} 1.0',
            'phpgw_pool_opened_total{pool="db"} 9.0',
            'phpgw_pool_cleaned_total{pool="db"} 8.0',
            'phpgw_pool_closed_total{pool="db",reason="age"} 4.0',
            'phpgw_pool_closed_total{pool="db",reason="lost"} 0.0',
            'phpgw_pool_refused_total{pool="db",reason="full"} 5.0',
            'phpgw_pool_wait_seconds_bucket{le="0.05",pool="db"} 2.0',
            'phpgw_pool_wait_seconds_bucket{le="+Inf",pool="db"} 3.0',
            'phpgw_pool_wait_seconds_count{pool="db"} 3.0',
            'phpgw_pool_use_seconds_sum{pool="db"} 0.0',
            "phpgw_pools_restarts_total 7.0",
        ):
            self.assertIn(line, text.splitlines())

    def test_described(self) -> None:
        described = describe_pool(self.figures)
        self.assertEqual((3, 4), (described["in_use"], described["closed"]["age"]))
        self.assertEqual(10, described["wait_p99"])
        self.assertIsNone(described["use_p50"])
