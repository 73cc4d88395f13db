"""Tests for :mod:`phpgw.cli.main`."""

from importlib import import_module

import click

from phpgw import __version__
from phpgw.cli.main import COMMANDS
from tests.support.cli_test_case import CliTestCase


class HelpTests(CliTestCase):
    def test_no_arguments(self) -> None:
        """Without arguments, the help is printed. It has a line for each command."""
        for arguments in ((), ("--help",), ("-h",)):
            text = self.printed(*arguments)
            for name in COMMANDS:
                self.assertRegex(text, rf"\n  {name} +[A-Z].*\.\n")

    def test_each_command(self) -> None:
        """The help of each command has an example, which is a command line of it."""
        for name in COMMANDS:
            for option in ("--help", "-h"):
                _, heading, examples = self.printed(name, option).partition("\nExamples:\n")
                self.assertTrue(heading, name)
                self.assertIn(f"phpgw {name}", examples)

    def test_rooms(self) -> None:
        """The room of each command has its name."""
        for name in COMMANDS:
            command = import_module(f"phpgw.cli.{name}").command
            assert isinstance(command, click.Command)
            self.assertEqual(name, command.name)

    def test_version(self) -> None:
        self.assertEqual(f"phpgw {__version__}\n", self.printed("--version"))


class ErrorTests(CliTestCase):
    """An error is one line, and has an exit status."""

    def test_no_such_command(self) -> None:
        self.assertEqual(
            "there is no command 'swerve'; phpgw --help lists them", self.complaint(2, "swerve")
        )

    def test_no_such_option(self) -> None:
        self.assertEqual(
            "--verson: there is no such option; did you mean --version?",
            self.complaint(2, "--verson"),
        )

    def test_hostile_names(self) -> None:
        """What was typed cannot control the terminal, and cannot fill it."""
        for name in ("\x1b[31m", "a\nb", "\u202e", "\ud800", "x" * 5000):
            for arguments in ((name,), (f"--{name}",), ("version", f"--{name}")):
                line = self.complaint(2, *arguments)
                self.assertTrue(line.isprintable(), ascii(line))
                self.assertLess(len(line), 400)

    def test_linear(self) -> None:
        """A long name costs no more than its length."""
        self.complaint(2, "version", "--" + "version" * 100_000)
