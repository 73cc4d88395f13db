"""Tests for :mod:`conformance`: how it reads and sums up what the suite reports, and what it runs.

The suite itself is for ``make conformance``.
"""

import json
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from conformance.report import Outcome, Report, UnreadableReport, Verdict, read_index
from conformance.suite import Catalogue, SuiteUnusable, find_python27, split_into_runs

OK = Outcome("OK", "OK", 1000)
NON_STRICT = Outcome("NON-STRICT", "OK", 1002)
INFORMATIONAL = Outcome("INFORMATIONAL", "INFORMATIONAL", 1000)
FAILED = Outcome("FAILED", "OK", 1000)

CATEGORIES = {"1": "Framing", "9": "Limits", "12": "Compression"}


def report(**outcomes: Outcome) -> Report:
    """Of cases named like ``c1_1_2``."""
    found = {name[1:].replace("_", "."): outcome for name, outcome in outcomes.items()}
    return Report.of(list(found), found, CATEGORIES)


class OutcomeTests(SynchronousTestCase):
    def test_words_of_the_suite(self) -> None:
        for behavior, behavior_close, verdict in (
            ("OK", "OK", Verdict.OK),
            ("NON-STRICT", "OK", Verdict.NON_STRICT),
            ("INFORMATIONAL", "INFORMATIONAL", Verdict.INFORMATIONAL),
            ("OK", "INFORMATIONAL", Verdict.INFORMATIONAL),
            ("FAILED", "OK", Verdict.FAILED),
            ("OK", "FAILED", Verdict.FAILED),
            ("NON-STRICT", "UNCLEAN", Verdict.FAILED),
        ):
            self.assertIs(verdict, Outcome(behavior, behavior_close).verdict)

    def test_what_is_not_known_to_be_right_is_wrong(self) -> None:
        for word in ("UNIMPLEMENTED", "WRONG CODE", "FAILED BY CLIENT", "NO_CLOSE", "ok", ""):
            self.assertIs(Verdict.FAILED, Outcome(word, "OK").verdict)
            self.assertIs(Verdict.FAILED, Outcome("OK", word).verdict)


class IndexTests(SynchronousTestCase):
    def read(self, content: Any) -> dict[str, Outcome]:
        path = Path(self.mktemp())
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return read_index(path)

    def test_index(self) -> None:
        entry = {"duration": 5, "reportfile": "phpgw_case_1_1_1.json"}
        closed = {"behavior": "OK", "behaviorClose": "OK", "remoteCloseCode": 1000}
        lost = {"behavior": "FAILED", "behaviorClose": "UNCLEAN", "remoteCloseCode": None}
        index = {"phpgw": {"1.1.1": entry | closed, "1.1.2": entry | lost}}
        self.assertEqual(
            {"1.1.1": OK, "1.1.2": Outcome("FAILED", "UNCLEAN", None)}, self.read(index)
        )

    def test_run_that_did_not_get_there(self) -> None:
        """It has no index."""
        self.assertEqual({}, read_index(Path(self.mktemp())))

    def test_something_else(self) -> None:
        strange: list[Any] = ["", "{", "[]", "{}", {"phpgw": []}, {"phpgw": {"1.1.1": {}}}]
        for content in [*strange, {"phpgw": {}, "another": {}}]:
            self.assertRaises(UnreadableReport, self.read, content)


class ReportTests(SynchronousTestCase):
    def test_passed(self) -> None:
        """What the RFC leaves open may be either way."""
        self.assertTrue(report(c1_1_1=OK, c1_1_2=NON_STRICT, c9_1_1=INFORMATIONAL).has_passed)

    def test_failed(self) -> None:
        self.assertFalse(report(c1_1_1=OK, c1_1_2=FAILED).has_passed)

    def test_case_without_outcome_has_failed(self) -> None:
        incomplete = Report.of(["1.1.1", "1.1.2"], {"1.1.1": OK}, CATEGORIES)
        self.assertFalse(incomplete.has_passed)
        self.assertEqual(1, incomplete.count(Verdict.FAILED))
        self.assertEqual(["1.1.2: NOT RUN, closing NOT RUN (no code)"], [*incomplete.remarkable()])

    def test_no_cases(self) -> None:
        """That is not a pass."""
        self.assertFalse(report().has_passed)

    def test_table(self) -> None:
        """In the order of numbers; a simple table of reStructuredText."""
        found = report(
            c12_1_1=OK, c9_1_1=INFORMATIONAL, c9_1_2=FAILED, c1_1_1=OK, c1_1_2=NON_STRICT
        )
        rule = "==============  =====  ==  ==========  =============  ======"
        self.assertEqual(
            [
                rule,
                "category        cases  OK  non-strict  informational  failed",
                rule,
                "1 Framing           2   1           1              0       0",
                "9 Limits            2   0           0              1       1",
                "12 Compression      1   1           0              0       0",
                "all                 5   2           1              1       1",
                rule,
            ],
            found.table().splitlines(),
        )

    def test_remarkable(self) -> None:
        self.assertEqual(
            ["1.1.2: NON-STRICT, closing OK (code 1002)"],
            [*report(c1_1_1=OK, c1_1_2=NON_STRICT).remarkable()],
        )

    def test_page(self) -> None:
        page = report(c1_1_1=OK, c1_1_2=NON_STRICT).page("today, PHP & all", ["1-10", "12.1"])
        self.assertIn("today, PHP &amp; all", page)
        self.assertIn("1 Framing", page)
        self.assertIn("1.1.2: NON-STRICT", page)
        self.assertIn('<a href="12.1/index.html">12.1</a>', page)


class CasesTests(SynchronousTestCase):
    numbers = ("1.1.1", "9.1.6", "10.1.1", "12.1.1", "12.1.2", "12.2.1", "13.1.1")

    def test_select(self) -> None:
        catalogue = Catalogue("1.0", self.numbers, CATEGORIES)
        self.assertEqual({"1.1.1"}, catalogue.select("1.*"))
        self.assertEqual({"12.1.2"}, catalogue.select("12.1.2"))
        self.assertEqual(set(self.numbers), catalogue.select("*"))
        self.assertEqual(set(), catalogue.select("14.*"))

    def test_long_ones_go_side_by_side(self) -> None:
        """No case gets lost on the way."""
        runs = split_into_runs(self.numbers)
        self.assertEqual(
            {
                "1-10": ["1.1.1", "9.1.6", "10.1.1"],
                "12.1": ["12.1.1", "12.1.2"],
                "12.2": ["12.2.1"],
                "13.1": ["13.1.1"],
            },
            runs,
        )

    def test_some_alone(self) -> None:
        self.assertEqual({"9": ["9.1.6"]}, split_into_runs(["9.1.6"]))
        self.assertEqual({"12.1": ["12.1.1"]}, split_into_runs(["12.1.1"]))


class PythonTests(SynchronousTestCase):
    def program(self, directory: Path, script: str) -> Path:
        """A ``python2.7`` that is none."""
        directory.mkdir(parents=True)
        path = directory / "python2.7"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    def setUp(self) -> None:
        self.root = Path(self.mktemp()).resolve()
        self.nowhere = {"PATH": str(self.root / "bin"), "PYENV_ROOT": str(self.root / "pyenv")}

    def test_in_path(self) -> None:
        python = self.program(self.root / "bin", "echo Python 2.7.18 >&2")
        self.assertEqual(python, find_python27(self.nowhere))

    def test_shim_of_a_version_that_is_not_chosen(self) -> None:
        self.program(self.root / "bin", "echo the command exists in Python 2.7.18 >&2; exit 127")
        python = self.program(
            self.root / "pyenv" / "versions" / "2.7.18" / "bin", "echo Python 2.7.18 >&2"
        )
        self.assertEqual(python, find_python27(self.nowhere))

    def test_named(self) -> None:
        """It is that one or none."""
        self.program(self.root / "bin", "echo Python 2.7.18 >&2")
        named = self.program(self.root / "opt", "echo Python 2.7.9 >&2")
        self.assertEqual(named, find_python27({**self.nowhere, "PYTHON27": str(named)}))
        absent = {**self.nowhere, "PYTHON27": str(self.root / "absent")}
        error = self.assertRaises(SuiteUnusable, find_python27, absent)
        self.assertIn(f"PYTHON27={self.root / 'absent'} is none", str(error))

    def test_other_version(self) -> None:
        self.program(self.root / "bin", "echo Python 3.11.2")
        self.assertRaises(SuiteUnusable, find_python27, self.nowhere)

    def test_nowhere(self) -> None:
        error = self.assertRaises(SuiteUnusable, find_python27, self.nowhere)
        self.assertIn("pyenv install 2.7", str(error))
