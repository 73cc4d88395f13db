"""Tests for :mod:`phpgw.cli.api_command`: what all commands that ask the gateway have in common."""

import json
import subprocess
import sys
from pathlib import Path

from phpgw.cli.api_address import TcpAddress, UnixAddress
from tests.support.cli_test_case import ApiCliTestCase
from tests.support.real.gateway import environment

COMMANDS = (
    ("status",),
    ("clients",),
    ("top", "--count", "1"),
    ("send", "--all", "x"),
    ("close", "--all"),
)


class ApiCommandTests(ApiCliTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.api.connect("\u202e\x1b", "gröup", user="\x9b")

    def test_finds_the_gateway(self) -> None:
        """The address is in the configuration, in the environment, or in --url."""
        config = Path(self.mktemp())
        config.write_text('api-listen = "127.0.0.1:8081"')
        for command in COMMANDS:
            self.printed(*command)
            self.printed(*command, "--config", str(config))
            self.printed(*command, "--url", "unix:/run/x")
            found = {address: None for address, _ in self.requests}
            self.assertEqual(
                [
                    TcpAddress("127.0.0.1", 8080),
                    TcpAddress("127.0.0.1", 8081),
                    UnixAddress("/run/x"),
                ],
                [*found],
            )
            self.requests.clear()

    def test_token(self) -> None:
        secret = Path(self.mktemp())
        secret.write_text("s3cret")
        for command in COMMANDS:
            self.printed(*command, "--api-token-file", str(secret))
        sent = {request.headers["Authorization"] for _, request in self.requests}
        self.assertEqual({"Bearer s3cret"}, sent)

    def test_configuration_that_cannot_be_read(self) -> None:
        for command in COMMANDS:
            line = self.complaint(2, *command, "--config", "/no/such.toml")
            self.assertEqual(
                "--config: got '/no/such.toml' (on the command line); "
                "expected a readable file (No such file or directory)",
                line,
            )

    def test_refused(self) -> None:
        """What the gateway says is one safe line."""
        self.answer(403, {"error": "no\n\x1b[31m"})
        for command in COMMANDS:
            self.assertEqual("no \\x1b[31m", self.complaint(1, *command))

    def test_something_else(self) -> None:
        """Also if it is a server whose answers are JSON."""
        for body in (b"<html>", b"[]", b"{}", b"[{}]", b"null", b'"x"', b'{"clients_now": 1}'):
            self.answer(200, body)
            for command in (*COMMANDS, ("clients", "x"), ("console",), ("tail",)):
                line = self.complaint(3, *command)
                self.assertIn("does not reply like phpgw's API", line, (command, body))

    def test_hostile_numbers(self) -> None:
        """What is no number is not shown as one."""
        stats = {**self.api.metrics.as_dict(), "clients_now": "\x1b[31m"}
        self.answer(200, stats)
        for command in (("status",), ("top", "--count", "1")):
            self.assertIn("does not reply like phpgw's API", self.complaint(3, *command))

    def test_json(self) -> None:
        """It is ASCII, on one line."""
        for command in COMMANDS:
            text = self.printed(*command, "--json")
            self.assertTrue(text.rstrip("\n").isprintable() and text.isascii())
            json.loads(text)

    def test_no_reactor(self) -> None:
        """These commands start fast: they never import the reactor, nor the gateway."""
        script = """
import sys
from phpgw.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert end.code == 3, end.code
assert "phpgw.cli." + sys.argv[1] in sys.modules
for name in ("twisted.internet.reactor", "twisted.internet.endpoints", "phpgw.service"):
    assert name not in sys.modules, name
"""
        for command in COMMANDS:
            subprocess.run(
                [sys.executable, "-c", script, *command, "--url", "unix:/no/such"],
                env=environment(),
                check=True,
                capture_output=True,
                timeout=30,
            )
