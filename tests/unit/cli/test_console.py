"""Tests for :mod:`phpgw.cli.console`."""

import json

from tests.support.cli_test_case import ApiCliTestCase
from tests.support.in_memory_console import FROM_PAGE


class ConsoleTests(ApiCliTestCase):
    def test_link(self) -> None:
        """It logs a browser in, once."""
        ended = self.run_phpgw("console")
        self.assertEqual(0, ended.status)
        base, _, code = ended.stdout.strip().partition("#")
        self.assertEqual("http://127.0.0.1:8080/console", base)
        self.assertEqual("Open it within 60 seconds. It works once.\n", ended.stderr)
        headers = {**FROM_PAGE, "Phpgw-Console-Code": code}.items()
        for status in (204, 401):
            answer = self.api.ask("POST", "/console/session", headers=headers)
            self.assertEqual(status, answer.status)

    def test_hostile_code(self) -> None:
        self.answer(200, {"code": "\x1b[31m", "seconds": "\x1b[31m"})
        ended = self.run_phpgw("console")
        self.assertNotIn("\x1b", ended.stdout + ended.stderr)

    def test_json(self) -> None:
        issued = json.loads(self.printed("console", "--json"))
        self.assertEqual({"url", "seconds"}, {*issued})
        self.assertEqual(60, issued["seconds"])

    def test_public_url(self) -> None:
        for given, base in (
            ("https://site.example", "https://site.example/console"),
            ("http://localhost:8081/", "http://localhost:8081/console"),
            ("https://site.example/gateway", "https://site.example/gateway/console"),
        ):
            ended = self.run_phpgw("console", "--public-url", given)
            self.assertEqual(base, ended.stdout.partition("#")[0])
        for wrong in ("site.example", "ftp://x", "http://x/\x1b[31m", ""):
            line = self.complaint(2, "console", "--public-url", wrong)
            self.assertIn("--public-url: got", line)
            self.assertTrue(line.isprintable())

    def test_unix_socket(self) -> None:
        """A browser cannot open it: the command says what to do, before it takes a code."""
        line = self.complaint(2, "console", "--url", "unix:/run/phpgw/api.sock")
        self.assertIn("ssh -L 8081:/run/phpgw/api.sock", line)
        self.assertEqual([], self.requests)
        options = ("--url", "unix:/run/x.sock", "--public-url", "http://localhost:8081")
        ended = self.run_phpgw("console", *options)
        self.assertEqual("http://localhost:8081/console", ended.stdout.partition("#")[0])

    def test_refused(self) -> None:
        self.answer(403, {"error": "There is a proxy."})
        self.assertEqual("There is a proxy.", self.complaint(1, "console"))
