"""Tests for :mod:`phpgw.cli.reload`."""

import os
import signal
from typing import Any

import attrs

from phpgw.api.check import GatewayReport
from phpgw.cli import reload
from tests.support.cli_test_case import ApiCliTestCase


class ReloadTests(ApiCliTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.sent: list[tuple[int, int]] = []
        self.patch(os, "kill", lambda pid, number: self.sent.append((pid, number)))
        self.patch(reload, "machine_id", lambda: "m")
        self.has(pid=77, workers=2)

    def has(self, **facts: Any) -> None:
        """Have the gateway report these facts."""
        report = self.api.checking.context.report
        changed = attrs.evolve(report, **facts)
        self.patch(GatewayReport, "as_json", lambda _: _as_json(changed))

    def test_signal(self) -> None:
        """The parent of the workers gets SIGUSR2."""
        self.assertIn("Process 77 replaces its 2 workers", self.printed("reload"))
        self.assertEqual([(77, signal.SIGUSR2)], self.sent)

    def test_one_process(self) -> None:
        """The signal would end it."""
        self.has(pid=77, workers=1)
        self.assertIn("this gateway is one process", self.complaint(1, "reload"))
        self.assertEqual([], self.sent)

    def test_elsewhere(self) -> None:
        """Its process id means nothing here."""
        for machine in ("other", ""):
            self.patch(reload, "machine_id", lambda machine=machine: machine)
            self.assertIn("send SIGUSR2 to its process 77 there", self.complaint(1, "reload"))
        self.assertEqual([], self.sent)

    def test_not_allowed(self) -> None:
        for error, words in ((PermissionError(), "or as root"), (ProcessLookupError(), "ended")):

            def fail(pid: int, number: int, error: OSError = error) -> None:
                raise error

            self.patch(os, "kill", fail)
            self.assertIn(words, self.complaint(1, "reload"))


_as_json = GatewayReport.as_json
