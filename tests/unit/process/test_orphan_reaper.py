"""Tests for the service of :mod:`phpgw.process.orphan_reaper`."""

import os

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.process import orphan_reaper


class ServiceTests(SynchronousTestCase):
    def test_process_1_alone(self) -> None:
        """If the gateway is not process 1, it reaps nothing."""
        reaped: list[object] = []
        self.patch(orphan_reaper, "reap_orphans", reaped.append)
        for pid, count in ((1, 3), (2, 0)):
            reaped.clear()
            self.patch(os, "getpid", lambda pid=pid: pid)
            clock = Clock()
            service = orphan_reaper.OrphanReaper(clock)
            service.startService()
            clock.pump([2.0, 2.0])
            service.stopService()
            clock.advance(2)
            self.assertEqual((count, []), (len(reaped), clock.getDelayedCalls()))
