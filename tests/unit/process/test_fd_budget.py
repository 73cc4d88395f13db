"""Tests for :mod:`phpgw.process.fd_budget`."""

import resource

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from phpgw.process.fd_budget import FdBudget, allocate_descriptors

WANTED = FdBudget(clients=10_000, http=1000)


class ShareTests(SynchronousTestCase):
    def allocate(self, hard: int, wanted: FdBudget = WANTED, sites: int = 1) -> FdBudget:
        """Return the budget with this hard limit, and a lower soft limit."""
        self.patch(resource, "getrlimit", lambda kind: (1024, hard))
        return allocate_descriptors(wanted, 16, sites)

    def test_enough_for_all(self) -> None:
        with capturedLogs() as events:
            for hard in (524_288, resource.RLIM_INFINITY):
                self.assertEqual(WANTED, self.allocate(hard))
        self.assertEqual([], events)

    def test_too_few(self) -> None:
        """Descriptors are reserved for PHP, HTTP and the gateway, and the log says so."""
        with capturedLogs() as events:
            shares = self.allocate(1024)
        self.assertEqual(FdBudget(clients=704, http=128), shares)
        [event] = events
        self.assertEqual("warn", event["log_level"].name)
        self.assertIn("no more than 704 clients", str(formatEvent(event)))

    def test_two_sites(self) -> None:
        self.assertEqual(FdBudget(clients=704, http=64), self.allocate(1024, sites=2))

    def test_far_too_few(self) -> None:
        for hard in range(64):
            self.assertEqual(1, self.allocate(hard).clients)
            self.assertGreaterEqual(self.allocate(hard).http, 1)

    def test_any_number(self) -> None:
        """The limit is the number of descriptors."""
        with capturedLogs() as events:
            shares = self.allocate(1024, FdBudget(clients=0, http=10))
        self.assertEqual(FdBudget(clients=1024 - 32 - 32 - 20, http=10), shares)
        self.assertEqual([], events)

    def test_few_are_wanted(self) -> None:
        wanted = FdBudget(clients=100, http=10)
        self.assertEqual(wanted, self.allocate(1024, wanted))
