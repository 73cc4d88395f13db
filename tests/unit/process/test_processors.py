"""Tests for :mod:`phpgw.process.processors`."""

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from phpgw.process import processors
from phpgw.process.processors import count_processors


class ProcessorsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.patch(processors, "_CPU_MAX", self.path)
        self.patch(os, "sched_getaffinity", lambda _: {*range(8)})

    def test_all(self) -> None:
        """Without a limit, those that the process may be scheduled on."""
        self.assertEqual(8, count_processors())
        self.path.write_text("max 100000\n")
        self.assertEqual(8, count_processors())

    def test_container(self) -> None:
        """A container may have fewer, and a part of one."""
        for text, count in (("200000 100000", 2), ("150000 100000", 2), ("50000 100000", 1)):
            self.path.write_text(f"{text}\n")
            self.assertEqual(count, count_processors())
        self.path.write_text("1600000 100000\n")
        self.assertEqual(8, count_processors())
