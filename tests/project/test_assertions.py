"""Assertions of tests that would not check what they say."""

import re

from twisted.trial.unittest import SynchronousTestCase

from tests.project.test_mirror import ROOT

_ALMOST = re.compile(r"AlmostEqual\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\bdelta=")


class AssertionTests(SynchronousTestCase):
    def test_delta(self) -> None:
        """trial's assertAlmostEqual takes a delta, and ignores it."""
        found = [
            str(path.relative_to(ROOT))
            for path in sorted((ROOT / "tests").rglob("*.py"))
            if _ALMOST.search(path.read_text())
        ]
        self.assertEqual([], found)
