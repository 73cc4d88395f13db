"""Tests for :mod:`phpgw.checks.open_files`."""

import resource

import attrs
from twisted.trial.unittest import SynchronousTestCase

from phpgw.checks.finding import Finding, Level
from phpgw.checks.open_files import check_open_files
from phpgw.checks.situation import Situation
from tests.support.checked_situation import brief, running, situation


def check(made: Situation) -> Finding:
    """Return the finding."""
    [finding] = check_open_files(made)
    return finding


class OpenFilesTests(SynchronousTestCase):
    def test_enough(self) -> None:
        self.assertEqual(Level.OK, check(running()).level)
        unlimited = attrs.evolve(running(), report={"open_files": None})
        self.assertEqual(Level.OK, check(unlimited).level)

    def test_too_few(self) -> None:
        """The limit that is printed is enough."""
        finding = check(attrs.evolve(running(), report={"open_files": 1024}))
        self.assertEqual(("open-files", Level.WARN), brief(finding))
        name, _, limit = finding.fix.partition("=")
        self.assertEqual("LimitNOFILE", name)
        raised = attrs.evolve(running(), report={"open_files": int(limit)})
        self.assertEqual(Level.OK, check(raised).level)

    def test_not_running(self) -> None:
        self.patch(resource, "getrlimit", lambda kind: (100, 100))
        self.assertEqual(Level.WARN, check(situation()).level)
