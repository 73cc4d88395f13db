"""Tests for :mod:`phpgw.cli.completion`."""

import shutil
import subprocess

from phpgw.cli.main import COMMANDS
from tests.support.cli_test_case import CliTestCase


class CompletionTests(CliTestCase):
    def completed(self, *words: str) -> list[str]:
        self.set_environment(
            {
                "_PHPGW_COMPLETE": "bash_complete",
                "COMP_WORDS": " ".join(words),
                "COMP_CWORD": str(len(words) - 1),
            }
        )
        return [line.partition(",")[2] for line in self.run_phpgw().stdout.splitlines()]

    def test_commands(self) -> None:
        """All commands are found, and all options of each."""
        self.assertEqual([*COMMANDS], self.completed("phpgw", "\n"))
        self.assertEqual(["serve", "send"], self.completed("phpgw", "se"))
        self.assertEqual(["--php-url", "--php-user"], self.completed("phpgw", "serve", "--php-u"))

    def test_choices(self) -> None:
        self.assertEqual(["on", "off"], self.completed("phpgw", "serve", "--compression", "o"))

    def test_scripts(self) -> None:
        """bash accepts its script, and so do the other shells that are there."""
        for shell in ("bash", "zsh", "fish"):
            script = self.printed("completion", shell)
            self.assertIn("_PHPGW_COMPLETE", script)
            if shell == "bash" or shutil.which(shell):
                subprocess.run([shell, "-n"], input=script, text=True, check=True, timeout=10)

    def test_other_shell(self) -> None:
        self.assertIn("SHELL: 'tcsh' is not one of", self.complaint(2, "completion", "tcsh"))
