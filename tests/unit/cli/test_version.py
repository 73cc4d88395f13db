"""Tests for :mod:`phpgw.cli.version`."""

from phpgw import __version__
from tests.support.cli_test_case import CliTestCase


class VersionTests(CliTestCase):
    def test_version(self) -> None:
        """It is printed by a command, and by an option of phpgw and of phpgw serve."""
        for arguments in (("version",), ("--version",), ("serve", "--version")):
            self.assertEqual(f"phpgw {__version__}\n", self.printed(*arguments))
