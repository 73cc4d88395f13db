"""Tests for :mod:`phpgw.checks.pools`."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from phpgw.checks.finding import Finding, Level
from phpgw.checks.pools import check_pools


class PoolsTests(SynchronousTestCase):
    def check(self, **changes: Any) -> Finding:
        pool = {
            **{"name": "db", "server": "mysql://h:3306", "where": "/run/db.sock", "size": 8},
            **{"in_use": 3, "problem": "", "refused": {"full": 0, "unavailable": 4}},
            **changes,
        }
        [finding] = check_pools([pool])
        return finding

    def test_well(self) -> None:
        """What was wrong once, and is not now, does not count."""
        finding = self.check()
        self.assertEqual(Level.OK, finding.level)
        self.assertIn("at /run/db.sock (3 of 8 in use)", finding.what)

    def test_unreachable(self) -> None:
        finding = self.check(problem="Connection refused", refused={"full": 5})
        self.assertEqual((Level.WRONG, "Connection refused"), (finding.level, finding.seen))

    def test_full(self) -> None:
        finding = self.check(refused={"full": 5})
        self.assertEqual((Level.WARN, "size = 16"), (finding.level, finding.fix))
        self.assertIn("[pools.db]", finding.where)

    def test_none(self) -> None:
        self.assertEqual([], [*check_pools([])])
