"""Tests for :mod:`phpgw.logs.text_format`."""

import re

from twisted.trial.unittest import SynchronousTestCase

from phpgw.logs.text_format import JournalText, PlainText, TerminalText, TextFormat
from tests.support.hostile_names import HOSTILE_NAMES
from tests.support.log_events import failure_event, log_event

_GATEWAY = "phpgw.gateway.Gateway"


class TextFormatTests(SynchronousTestCase):
    def test_plain(self) -> None:
        line = PlainText()(log_event("warn", "PHP is {what}", _GATEWAY, what="away"))
        self.assertRegex(
            line, r"\A20\d\d-\d\d-\d\dT\d\d:\d\d:25\.250\S{6} warn  gateway: PHP is away\n\Z"
        )

    def test_terminal(self) -> None:
        """The level has a colour, and the date is left out."""
        line = TerminalText()(log_event("warn", "PHP is away", _GATEWAY))
        self.assertIn("\x1b[33mwarn \x1b[0m", line)
        text = re.sub(r"\x1b\[[0-9;]*m", "", line)
        self.assertRegex(text, r"\A\d\d:\d\d:25\.250 warn  gateway: PHP is away\n\Z")

    def test_journal(self) -> None:
        """Each line has the number of its level, those of a traceback too."""
        for level, number in (("debug", 7), ("info", 6), ("warn", 4), ("error", 3)):
            line = JournalText()(log_event(level, "PHP is away", _GATEWAY))
            self.assertEqual(f"<{number}>gateway: PHP is away\n", line)
        first, *others = JournalText()(failure_event(ValueError("x"))).splitlines()
        self.assertEqual("<2>relay.queue: It broke", first)
        self.assertGreater(len(others), 2)
        for line in others:
            self.assertTrue(line.startswith("<2>    "), line)

    def test_traceback(self) -> None:
        """Its lines are indented, so that none looks like another event's."""
        for text_format in (PlainText(), TerminalText()):
            first, *others = text_format(failure_event(ValueError("x\n2026 y"))).splitlines()
            self.assertIn("It broke", first)
            self.assertTrue(any("ValueError" in line for line in others))
            for line in others:
                self.assertTrue(line.startswith("    "), line)

    def test_nothing_to_say(self) -> None:
        for text_format in (PlainText(), TerminalText(), JournalText()):
            self.assertEqual("", text_format({"log_format": ""}))
            self.assertEqual("", text_format({}))

    def test_hostile_text(self) -> None:
        """No text forges a line, or controls the terminal, in the message or in a traceback."""

        def check(text_format: TextFormat, text: str) -> None:
            for line in text.split("\n")[:-1]:
                plain = re.sub(r"\x1b\[[0-9;]*m", "", line) if text_format is terminal else line
                self.assertTrue(plain.isprintable(), ascii(text))
            text.encode()

        terminal = TerminalText()
        for name in (*HOSTILE_NAMES, "a\r\n<0>forged", "\x1b]0;x\x07", "\x9b31m", "\u202ex"):
            for text_format in (PlainText(), terminal, JournalText()):
                lines = text_format(log_event("info", "Client {name}", _GATEWAY, name=name))
                self.assertEqual(1, lines.count("\n"))
                check(text_format, lines)
                check(text_format, text_format(failure_event(ValueError(name))))
        self.assertNotIn("\x1b]", terminal(log_event("info", "{name}", name="\x1b]0;x\x07")))
