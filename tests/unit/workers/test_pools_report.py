"""Tests for :mod:`phpgw.workers.pools_report`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.workers.pools_report import PoolsReport


class PoolsReportTests(SynchronousTestCase):
    """The pools are those of the parent, each once."""

    def test_merge(self) -> None:
        """Several reports become one, with all pools in their order."""
        merged = PoolsReport.merge([PoolsReport([{"name": "db"}]), PoolsReport([{"name": "api"}])])
        self.assertEqual([{"name": "db"}, {"name": "api"}], merged.as_json())

    def test_nothing_is_kept_of_a_worker(self) -> None:
        """A worker has no pools, so that nothing of it counts when it has ended."""
        self.assertEqual([], [*PoolsReport([{"name": "db"}]).totals().as_json()])

    def test_sent(self) -> None:
        """A report arrives as it was sent."""
        sent = PoolsReport([{"name": "db", "idle": 3}])
        self.assertEqual(sent, PoolsReport.from_json(sent.as_json()))
