"""Tests for :mod:`phpgw.workers.shared_readiness`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.workers.shared_readiness import SharedReadiness


class SharedReadinessTests(SynchronousTestCase):
    def test_any_worker(self) -> None:
        """A gateway is ready while this worker is, or another one."""
        obstacle: list[str | None] = ["full"]
        readiness = SharedReadiness()
        (check,) = readiness.share([lambda: obstacle[0]])
        self.assertEqual(("full", False), (check(), readiness.is_own_ready()))
        readiness.is_other_ready = True
        self.assertEqual((None, False), (check(), readiness.is_own_ready()))
        readiness.is_other_ready = False
        obstacle[0] = None
        self.assertEqual((None, True), (check(), readiness.is_own_ready()))
