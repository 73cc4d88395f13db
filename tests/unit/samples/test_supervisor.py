"""Tests for :mod:`phpgw.samples.supervisor`."""

import configparser
import shlex
from typing import Any

from phpgw.samples.service import find_service
from phpgw.samples.supervisor import make_program
from phpgw.samples.text import CannotWrite
from tests.support.sample_settings import given
from tests.unit.samples.test_service import ServiceTestCase

_URL = "http://127.0.0.1:8088/w.php"


class ProgramTests(ServiceTestCase):
    def program(self, user: str = "www-data", **texts: Any) -> dict[str, str]:
        """Return the program's section, read as Supervisor reads it."""
        service = find_service(given(**texts), {}, "/opt/phpgw/bin/phpgw")
        parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"), strict=False)
        parser.read_string(make_program(service, user))
        return {name: value % {} for name, value in parser["program:phpgw"].items()}

    def test_program(self) -> None:
        program = self.program(php_url=_URL, drain_timeout="60s", user="daemon")
        self.assertEqual(
            ("daemon", "unexpected", "0,2", "TERM", "82", "true"),
            tuple(
                program[name]
                for name in (
                    *("user", "autorestart", "exitcodes", "stopsignal", "stopwaitsecs"),
                    "killasgroup",
                )
            ),
        )

    def test_words(self) -> None:
        """Nothing in an option is a comment, an expansion, or the end of a word."""
        for text in ("100%", "a ;b", "a #b ; c", "it's", '"$x" \\n', "%(here)s", " ;", "", "#"):
            words = shlex.split(self.program(php_url=_URL, error_reply=text)["command"])
            self.assertEqual(text, words[words.index("--error-reply") + 1])
        self.assertRaises(CannotWrite, self.program, php_url=_URL, error_reply="a\nuser=root")
        self.assertRaises(CannotWrite, self.program, "a b", php_url=_URL)

    def test_secrets(self) -> None:
        """The program's user reads them where they are."""
        command = self.program(php_url=_URL, secret_file="/etc/a b")["command"]
        self.assertTrue(command.endswith(" --secret-file '/etc/a b'"))

    def test_sockets(self) -> None:
        service = find_service(given(php_url=_URL, listen="/run/a/b"), {}, "/phpgw")
        self.assertIn("# This user must be able to make /run/a/b.\n", make_program(service, "x"))
