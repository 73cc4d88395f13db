"""Tests for :mod:`phpgw.process.rlimit`."""

import resource

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from phpgw.process.rlimit import raise_limit


class LimitTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.limits = [(1024, 4096)]
        self.patch(resource, "getrlimit", lambda kind: self.limits[-1])
        self.patch(resource, "setrlimit", lambda kind, limits: self.limits.append(limits))

    def raise_limit(self) -> tuple[str, str]:
        """Return the log line about it."""
        with capturedLogs() as events:
            raise_limit()
        [event] = events
        return event["log_level"].name, str(formatEvent(event))

    def test_raised(self) -> None:
        said = self.raise_limit()
        self.assertEqual((4096, 4096), self.limits[-1])
        self.assertEqual(("info", "Up to 4096 file descriptors (from 1024)"), said)

    def test_at_its_height(self) -> None:
        """No call is made that a sandbox may forbid."""
        self.limits = [(4096, 4096)]
        said = self.raise_limit()
        self.assertEqual([(4096, 4096)], self.limits)
        self.assertEqual(("info", "Up to 4096 file descriptors (from 4096)"), said)

    def test_forbidden(self) -> None:
        """It continues with the old limit."""

        def refuse(kind: int, limits: tuple[int, int]) -> None:
            raise PermissionError(1, "Operation not permitted")

        self.patch(resource, "setrlimit", refuse)
        level, line = self.raise_limit()
        self.assertEqual("warn", level)
        self.assertIn("1024", line)
        self.assertIn("Operation not permitted", line)
