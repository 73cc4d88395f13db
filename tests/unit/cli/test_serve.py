"""Tests for :mod:`phpgw.cli.serve`."""

import os
import signal
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.internet import reactor

from phpgw.process.listener import Listener
from phpgw.process.signals import GracefulSignals
from phpgw.settings.manual import make_manual
from phpgw.settings.option import InvalidOption
from phpgw.workers import opening
from tests.support.cli_test_case import CliTestCase

URL = "http://localhost/websocket.php"
PHP = ("serve", "--php-url", URL)


class ServeTests(CliTestCase):
    def setUp(self) -> None:
        super().setUp()
        for number in (signal.SIGTERM, signal.SIGINT):
            self.addCleanup(signal.signal, number, signal.getsignal(number))

    def test_manual(self) -> None:
        """The manual is that of twistd phpgw."""
        text = self.printed("serve", "--help")
        self.assertIn("Usage: phpgw serve [OPTIONS]\n", text)
        self.assertIn(make_manual(), text)

    def test_mistakes(self) -> None:
        """Each mistake has a line that says what is wrong, where, and what would be right."""
        for arguments, expected in (
            (
                ("serve",),
                "--php-script: expected the path of your script, like /srv/app/websocket.php "
                "(or --php-url http://localhost/websocket.php)",
            ),
            (
                (*PHP, "--php-concurrency", "0"),
                "--php-concurrency: got '0' (on the command line); expected a whole number above 0",
            ),
            (
                ("serve", "--php-ulr", URL),
                "--php-ulr: there is no such option; did you mean --php-url?",
            ),
            ((*PHP, "--zzz=1"), "--zzz: there is no such option; --help lists them"),
            (("serve", "--php-url"), "--php-url: got nothing; expected URL"),
            ((*PHP, "start"), "'start': expected options alone; try phpgw serve --help"),
            (
                ("serve", "--config", "no/such.toml"),
                "--config: got 'no/such.toml' (on the command line); "
                "expected a readable file (No such file or directory)",
            ),
        ):
            self.assertEqual(expected, self.complaint(2, *arguments))

    def test_environment_and_file(self) -> None:
        """Options come from there, too, and mistakes in them name the place."""
        file = Path(self.mktemp())
        file.write_text("php-timeout = 0")
        os.environ["PHPGW_PHP_URL"] = URL
        os.environ["PHPGW_CONFIG"] = str(file)
        self.assertEqual(
            f"--php-timeout: got '0' (php-timeout in {file}); expected more than 0 seconds",
            self.complaint(2, "serve"),
        )
        os.environ["PHPGW_MAX_INBOX"] = "x"
        self.assertEqual(
            "--max-inbox: got 'x' (PHPGW_MAX_INBOX in the environment); "
            "expected a whole number above 0",
            self.complaint(2, "serve", "--php-timeout=1"),
        )

    def test_options_of_twistd(self) -> None:
        """twistd's own options are not needed."""
        for option in ("-n", "--nodaemon", "--pidfile=x", "-l"):
            self.assertIn("this is an option of twistd", self.complaint(2, "serve", option))

    def test_port_taken(self) -> None:
        """A port that cannot be opened is no mistake of usage."""
        self.patch(GracefulSignals, "__init__", lambda *_: None)
        taken = InvalidOption("listen", "x")
        with mock.patch.object(Listener, "open", side_effect=taken):
            self.assertEqual("--listen: expected x", self.complaint(1, *PHP))

    def test_runs(self) -> None:
        """The gateway runs until the reactor stops; the status is then 0."""
        gateway = mock.Mock()
        self.patch(opening, "open_process", lambda *_, **__: gateway)
        self.patch(reactor, "run", lambda: gateway.run())
        self.patch(reactor, "addSystemEventTrigger", gateway.trigger)
        with mock.patch("twisted.logger.globalLogBeginner.beginLoggingTo"):
            self.assertEqual("", self.printed(*PHP))
        self.assertEqual(
            [
                mock.call.privilegedStartService(),
                mock.call.startService(),
                mock.call.trigger("before", "shutdown", gateway.stopService),
                mock.call.run(),
            ],
            gateway.mock_calls,
        )

    def test_stopped_while_it_starts(self) -> None:
        """It ends quietly, with the status of a signal; also as process 1 of a container."""
        for number, status in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
            self.complaint(2, "serve")
            handler: Any = signal.getsignal(number)
            self.assertEqual(status, self.assertRaises(SystemExit, handler, number, None).code)
