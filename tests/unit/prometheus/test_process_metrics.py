"""Tests for :mod:`phpgw.prometheus.process_metrics`."""

import os
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import ProcessCollector
from twisted.trial.unittest import SynchronousTestCase

from phpgw.prometheus import process_metrics as room
from phpgw.prometheus.process_metrics import process_metrics


class ProcessMetricsTests(SynchronousTestCase):
    def values(self) -> dict[str, float]:
        return {family.name: family.samples[0].value for family in process_metrics()}

    def test_as_all_others(self) -> None:
        """Names, kinds, texts and numbers are those of prometheus_client."""
        ours = {family.name: family for family in process_metrics()}
        theirs = {family.name: family for family in ProcessCollector(registry=None).collect()}
        self.assertEqual({*theirs}, {*ours})
        for name, family in theirs.items():
            self.assertEqual(
                (family.type, family.documentation), (ours[name].type, ours[name].documentation)
            )
            before, now = family.samples[0].value, ours[name].samples[0].value
            self.assertLess(abs(now - before), max(2, before * 0.1), name)

    def test_descriptors(self) -> None:
        """They are counted, also where the kernel has to be asked for a list."""
        before = self.values()["process_open_fds"]
        opened = [os.open("/dev/null", os.O_RDONLY) for _ in range(7)]
        for each in opened:
            self.addCleanup(os.close, each)
        self.assertEqual(before + 7, self.values()["process_open_fds"])
        directory = Path(self.mktemp())
        directory.mkdir()
        for name in "012":
            (directory / name).touch()
        self.patch(room, "_DESCRIPTORS", _WithoutSize(directory))
        self.assertEqual(3, self.values()["process_open_fds"])


class _WithoutSize:
    """A directory whose size is not known, as /proc/self/fd before Linux 6.2."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def stat(self) -> os.stat_result:
        return os.stat_result((*([0] * 6), 0, 0, 0, 0))

    def iterdir(self) -> Iterator[Path]:
        return self._path.iterdir()
