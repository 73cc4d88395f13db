"""Tests for :mod:`phpgw.cli.errors`."""

import click
from twisted.trial.unittest import SynchronousTestCase

from phpgw.cli.command import Command
from phpgw.cli.errors import CommandFailed, GatewayUnreachable, InvalidUsage, explain


class ExplainTests(SynchronousTestCase):
    command = Command(
        "try",
        params=[
            click.Option(["--name"], metavar="NAME"),
            click.Option(["--count"], type=click.IntRange(1, 9), metavar="COUNT"),
            click.Option(["--flag"], is_flag=True),
            click.Argument(["word"], required=True),
        ],
    )

    def explanation(self, *arguments: str) -> str:
        error = self.assertRaises(
            click.ClickException,
            self.command.main,
            [*arguments],
            "phpgw try",
            standalone_mode=False,
        )
        self.assertEqual(2, error.exit_code)
        return explain(error)

    def test_option(self) -> None:
        for arguments, expected in (
            (("--nmae", "x"), "--nmae: there is no such option; did you mean --name?"),
            (("--zzz",), "--zzz: there is no such option; --help lists them"),
            (("-z",), "-z: there is no such option; --help lists them"),
            (("--name",), "--name: got nothing; expected NAME"),
            (("--flag=1",), "--flag: expected no value"),
        ):
            self.assertEqual(expected, self.explanation(*arguments))

    def test_value(self) -> None:
        self.assertIn("--count: ", self.explanation("--count", "0", "x"))

    def test_words(self) -> None:
        self.assertEqual("WORD is missing; try phpgw try --help", self.explanation())
        self.assertIn("try phpgw try --help", self.explanation("one", "two"))

    def test_one_safe_line(self) -> None:
        """The text of an error may come from the gateway."""
        self.assertEqual(
            "no such \\x1b[31m thing", explain(CommandFailed("no such\n\x1b[31m\r\nthing"))
        )

    def test_statuses(self) -> None:
        classes = (CommandFailed, InvalidUsage, GatewayUnreachable)
        self.assertEqual([1, 2, 3], [each("").exit_code for each in classes])
