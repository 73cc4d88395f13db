"""Tests for :mod:`phpgw.cli.parsed_value`."""

import click
from twisted.trial.unittest import SynchronousTestCase

from phpgw.cli.parsed_value import ParsedValue
from phpgw.settings import parsers


class ParsedValueTests(SynchronousTestCase):
    def test_value(self) -> None:
        self.assertEqual(7, ParsedValue(parsers.count).convert("7", None, None))
        self.assertEqual(7, ParsedValue(parsers.count).convert(7, None, None))

    def test_mistake(self) -> None:
        for text in ("x", "0", "9" * 5000):
            error = self.assertRaises(
                click.BadParameter, ParsedValue(parsers.count).convert, text, None, None
            )
            self.assertTrue(error.message.startswith(f"got '{text[:1]}"), error.message)
            self.assertIn("; expected ", error.message)
            self.assertLess(len(error.message), 400)
