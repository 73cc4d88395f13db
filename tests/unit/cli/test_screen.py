"""Tests for :mod:`phpgw.cli.screen`."""

import os
import pty
import sys
import termios
from io import StringIO
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from phpgw.cli.screen import PlainScreen, TerminalScreen, open_screen


class PlainTests(SynchronousTestCase):
    def test_frames(self) -> None:
        """In a pipe, frames come one after another, without control characters."""
        self.patch(sys, "stdout", stream := StringIO())
        waits: list[float] = []
        screen = PlainScreen(waits.append)
        screen.draw(["a", "b"])
        self.assertEqual("", screen.wait(1.0))
        screen.draw(["c"])
        self.assertEqual("a\nb\n\nc\n\n", stream.getvalue())
        self.assertEqual([1.0], waits)

    def test_pipe(self) -> None:
        self.patch(sys, "stdout", stream := StringIO())
        with open_screen() as screen:
            self.assertIsInstance(screen, PlainScreen)
        self.assertEqual("", stream.getvalue())


class TerminalTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.keyboard, child = pty.openpty()
        self.addCleanup(os.close, self.keyboard)
        self.stream = os.fdopen(child, "w", encoding="utf-8")
        self.addCleanup(self.stream.close)
        self.stdin = os.fdopen(os.dup(child), encoding="utf-8")
        self.addCleanup(self.stdin.close)
        self.patch(sys, "stdout", self.stream)
        self.patch(sys, "stdin", self.stdin)

    def shown(self, end: str) -> str:
        """Return what the terminal has shown, once it has shown this end: it may come in parts."""
        self.stream.flush()
        text = ""
        while not text.endswith(end):
            text += os.read(self.keyboard, 65536).decode()
        return text

    def test_restored(self) -> None:
        """The terminal is as it was before, whatever happens."""
        before = termios.tcgetattr(self.stream.fileno())
        with self.assertRaises(ZeroDivisionError), open_screen():
            self.assertNotEqual(before, termios.tcgetattr(self.stream.fileno()))
            raise ZeroDivisionError
        self.assertEqual(before, termios.tcgetattr(self.stream.fileno()))
        text = self.shown("\x1b[?25h\x1b[?1049l")
        self.assertTrue(text.startswith("\x1b[?1049h\x1b[?25l"), ascii(text))

    def test_keys(self) -> None:
        with open_screen() as screen:
            self.assertEqual("", screen.wait(0))
            os.write(self.keyboard, b"sr")
            self.assertEqual(["s", "r", ""], [screen.wait(10), screen.wait(10), screen.wait(0)])

    def test_no_keyboard(self) -> None:
        """The standard input may be something else."""
        self.patch(sys, "stdin", StringIO())
        with open_screen() as screen:
            self.assertEqual(TerminalScreen(None), screen)
            self.assertEqual("", screen.wait(0))

    def test_frame_fits(self) -> None:
        """Lines are cut off at the width, also of wide characters, and at the height."""
        with mock.patch.object(TerminalScreen, "size", (4, 2)):
            TerminalScreen(None).draw(["abcdef", "小明小明", "no"])
        self.assertEqual(
            "\x1b[Habcd\x1b[K\r\n小明\x1b[K\x1b[J", self.shown("\x1b[J").replace("\r\r", "\r")
        )
