"""Tests for :mod:`phpgw.checks.fix_lines`."""

import shlex
import tomllib

from twisted.trial.unittest import SynchronousTestCase

from phpgw.checks.fix_lines import command, setting

_HOSTILE = ('"', "\\", "\n", "a'b", "$(a)", "${a}", "é\N{GRINNING FACE}", "\t", "# a", "]", "`a`")


class FixLineTests(SynchronousTestCase):
    def test_setting(self) -> None:
        for value in _HOSTILE:
            self.assertEqual({"a-b": value}, tomllib.loads(setting("a-b", value)), value)
        self.assertEqual({"a": [*_HOSTILE]}, tomllib.loads(setting("a", [*_HOSTILE])))

    def test_command(self) -> None:
        self.assertEqual(["a", *_HOSTILE], shlex.split(command("a", *_HOSTILE)))
        self.assertEqual("chmod o+x /srv/app", command("chmod", "o+x", "/srv/app"))
