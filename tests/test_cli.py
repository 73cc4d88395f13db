"""The phpgw command."""

import sys
from io import StringIO

from twisted.trial.unittest import SynchronousTestCase

from phpgw import __version__
from phpgw.cli import main


class CommandTests(SynchronousTestCase):
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
        """It is what one gets who says nothing."""
        for arguments in ((), ("--help",), ("-h",)):
            self.assertIn("\n  serve    Run the gateway", self.printed(*arguments))

    def test_version(self) -> None:
        self.assertEqual(f"phpgw {__version__}\n", self.printed("--version"))

    def test_no_such_command(self) -> None:
        self.assertIn("there is no command 'swerve'", self.complaint("swerve"))

    def test_options_of_serve(self) -> None:
        """They are those of twistd phpgw; those of twistd itself are not needed."""
        self.assertIn("phpgw: --php-script: expected", self.complaint("serve"))
        self.assertIn("phpgw serve --help", self.complaint("serve", "x"))
        for option in ("-n", "--nodaemon", "--pidfile=x", "-l"):
            self.assertIn("option of twistd", self.complaint("serve", option))
