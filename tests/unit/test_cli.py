"""Tests for :mod:`phpgw.cli`."""

import signal
import sys
from io import StringIO
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from phpgw import __version__
from phpgw.cli import main


class CommandTests(SynchronousTestCase):
    def setUp(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            self.addCleanup(signal.signal, number, signal.getsignal(number))

    def printed(self, *arguments: str) -> str:
        self.patch(sys, "stdout", out := StringIO())
        main(arguments)
        return out.getvalue()

    def complaint(self, *arguments: str) -> str:
        line = self.assertRaises(SystemExit, main, arguments).code
        assert isinstance(line, str)
        self.assertEqual(1, len(line.splitlines()), line)
        return line

    def test_help(self) -> None:
        """Without arguments, the help is printed."""
        for arguments in ((), ("--help",), ("-h",)):
            self.assertIn("\n  serve    Run the gateway", self.printed(*arguments))

    def test_version(self) -> None:
        self.assertEqual(f"phpgw {__version__}\n", self.printed("--version"))

    def test_no_such_command(self) -> None:
        self.assertIn("there is no command 'swerve'", self.complaint("swerve"))

    def test_stopped_while_it_starts(self) -> None:
        """It ends quietly, with the status of a signal; also as process 1 of a container."""
        for number, status in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
            self.complaint("serve")
            handler: Any = signal.getsignal(number)
            self.assertEqual(status, self.assertRaises(SystemExit, handler, number, None).code)

    def test_options_of_serve(self) -> None:
        """They are those of twistd phpgw. twistd's own options are not needed."""
        self.assertIn("phpgw: --php-script: expected", self.complaint("serve"))
        self.assertIn("phpgw serve --help", self.complaint("serve", "x"))
        for option in ("-n", "--nodaemon", "--pidfile=x", "-l"):
            self.assertIn("option of twistd", self.complaint("serve", option))
