"""Tests for :mod:`phpgw.checks.finding`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.checks.finding import Level, Subject

_PORT = Subject("port")


class FindingTests(SynchronousTestCase):
    def test_levels(self) -> None:
        findings = [
            _PORT.ok("a"),
            _PORT.note("a", why="b"),
            _PORT.warn("a", why="b", fix="c"),
            _PORT.wrong("a", why="b", fix="c"),
            _PORT.skipped("a", why="b"),
        ]
        self.assertEqual([*Level], [finding.level for finding in findings])

    def test_json(self) -> None:
        """Programs get the same fields as people."""
        finding = _PORT.wrong("a", why="b", fix="c", where="d", seen="e")
        self.assertEqual(
            {
                "id": "port",
                "level": "wrong",
                "what": "a",
                "why": "b",
                "fix": "c",
                "where": "d",
                "seen": "e",
                "docs": "docs/check.rst#port",
            },
            finding.as_json(),
        )
