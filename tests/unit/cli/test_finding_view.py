"""Tests for :mod:`phpgw.cli.finding_view`."""

import click
from twisted.trial.unittest import SynchronousTestCase

from phpgw.checks.finding import Finding, Subject
from phpgw.cli.finding_view import print_finding, print_summary
from tests.support.hostile_names import HOSTILE_NAMES

_PORT = Subject("port")


class FindingViewTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.lines: list[str] = []
        self.patch(click, "echo", lambda line, **more: self.lines.append(click.unstyle(line)))

    def shown(self, finding: Finding) -> list[str]:
        print_finding(finding)
        return self.lines

    def test_ok(self) -> None:
        """All that is well takes one line."""
        [line] = self.shown(_PORT.ok("It is free", seen="x"))
        self.assertEqual(["ok", "port", "It", "is", "free"], line.split())

    def test_wrong(self) -> None:
        """What is wrong says why, and has the line to change on a line of its own."""
        lines = self.shown(_PORT.wrong("It is taken", why="a", fix="b", where="c", seen="d"))
        details = [tuple(line.split(maxsplit=1)) for line in lines[1:]]
        self.assertEqual(
            [
                ("why", "a"),
                ("fix", "b"),
                ("where", "c"),
                ("seen", "d"),
                ("docs", "docs/check.rst#port"),
            ],
            details,
        )

    def test_foreign_text(self) -> None:
        """What programs and browsers have sent cannot control the terminal."""
        for text in HOSTILE_NAMES:
            lines = self.shown(_PORT.wrong(text, why=text, fix=text, where=text, seen=text))
            for line in lines:
                self.assertTrue(line.isprintable(), ascii(line))

    def test_summary(self) -> None:
        print_summary([_PORT.ok("a"), _PORT.wrong("a", why="b", fix="c"), _PORT.ok("a")])
        self.assertEqual(["", "2 ok, 1 wrong"], self.lines)
