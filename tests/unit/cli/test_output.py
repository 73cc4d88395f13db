"""Tests for :mod:`phpgw.cli.output`."""

import builtins
import errno
import json
import sys
from io import StringIO
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from phpgw.cli import output
from phpgw.cli.errors import CommandFailed
from tests.support.hostile_names import HOSTILE_NAMES


class Terminal(StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


class TableTests(SynchronousTestCase):
    rows = (("a", "小明"), ("bb", ""), ("ccc", "x"))

    def printed(self, stream: StringIO, *rows: tuple[str, ...]) -> str:
        self.patch(sys, "stdout", stream)
        output.print_table(("ONE", "TWO"), rows or self.rows)
        return stream.getvalue()

    def test_columns(self) -> None:
        """In a pipe, columns are aligned, and nothing is cut off."""
        self.assertEqual("ONE  TWO\na    小明\nbb   -\nccc  x\n", self.printed(StringIO()))
        long = "x" * 500
        self.assertIn(long, self.printed(StringIO(), (long, long)))

    def test_width(self) -> None:
        for text, width in (("abc", 3), ("小明", 4), ("e\u0301", 1), ("", 0)):
            self.assertEqual(width, output.text_width(text))

    def test_cut(self) -> None:
        for text, width, expected in (
            ("abc", 9, "abc"),
            ("abc", 3, "abc"),
            ("abc", 2, "ab"),
            ("小明", 3, "小"),
            ("abc", 0, ""),
        ):
            self.assertEqual(expected, output.cut(text, width))

    def test_empty(self) -> None:
        self.patch(sys, "stdout", stream := StringIO())
        output.print_table(("ONE", "TWO"), ())
        self.assertEqual("ONE  TWO\n", stream.getvalue())

    def test_terminal(self) -> None:
        """On a terminal, rich prints the table. It reads no markup in names."""
        self.patch(sys, "stdout", stream := Terminal())
        output.print_table(("ONE", "TWO"), [("[red]x[/red]", ":smile:")])
        self.assertIn("[red]x[/red]", stream.getvalue())
        self.assertIn(":smile:", stream.getvalue())
        self.assertIn("─", stream.getvalue())

    def test_without_rich(self) -> None:
        """It is an extra: without it, a terminal gets columns, too."""
        real = builtins.__import__

        def imported(name: str, *more: Any, **options: Any) -> Any:
            if name.startswith("rich"):
                raise ImportError(name)
            return real(name, *more, **options)

        with mock.patch.object(builtins, "__import__", imported):
            text = self.printed(Terminal())
        self.assertEqual("ONE  TWO\na    小明\nbb   -\nccc  x\n", text)

    def test_hostile_names(self) -> None:
        """Each row stays one line, without control characters."""
        rows = [(name, name) for name in HOSTILE_NAMES]
        self.assertEqual(1 + len(rows), len(self.printed(StringIO(), *rows).splitlines()))
        for stream in (StringIO(), Terminal()):
            for name in HOSTILE_NAMES:
                text = self.printed(stream, (name, name))
                for character in set(name):
                    if not character.isprintable() and character != "\n":
                        self.assertNotIn(name, text)
                        self.assertNotIn("\x1b[2J", text)
                        self.assertNotIn("\u202e", text)


class LineTests(SynchronousTestCase):
    def test_fields(self) -> None:
        self.patch(sys, "stdout", stream := StringIO())
        output.print_fields({"A": "x\x1b", "Longer": "y"})
        self.assertEqual("A       x\\x1b\nLonger  y\n", stream.getvalue())

    def test_json(self) -> None:
        self.patch(sys, "stdout", stream := StringIO())
        output.print_json([*HOSTILE_NAMES])
        text = stream.getvalue()
        self.assertTrue(text.isascii() and text.rstrip("\n").isprintable())
        self.assertEqual([*HOSTILE_NAMES], json.loads(text))

    def test_note(self) -> None:
        self.patch(sys, "stderr", stream := StringIO())
        output.note("x\x1b")
        self.assertEqual("x\\x1b\n", stream.getvalue())

    def test_disk_is_full(self) -> None:
        self.patch(sys, "stdout", stream := StringIO())
        self.patch(stream, "write", mock.Mock(side_effect=OSError(errno.ENOSPC, "No space left")))
        error = self.assertRaises(CommandFailed, output.write, "x")
        self.assertEqual("cannot write the output (No space left)", str(error))
