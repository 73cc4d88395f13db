"""Tests for :mod:`phpgw.cli.check`."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from phpgw.checks.finding import Finding, Subject
from phpgw.checks.public_way import PublicWay
from phpgw.cli import check
from phpgw.cli.api_address import ApiAccess, UnixAddress
from phpgw.cli.api_client import ApiClient
from phpgw.cli.check import ApiAnnouncer
from phpgw.process.machine_id import machine_id
from phpgw.settings import Settings, sources
from phpgw.settings.as_json import settings_as_json
from tests.support.cli_test_case import ApiCliTestCase
from tests.support.real.gateway import environment

_SUBJECT = Subject("subject")
_OK = _SUBJECT.ok("a")
_WARN = _SUBJECT.warn("a", why="b", fix="c")
_WRONG = _SUBJECT.wrong("a", why="b", fix="c")
_CONFIGURED = ("--php-script", "/srv/app/websocket.php")


class CheckTestCase(ApiCliTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.found: list[Finding] = [_OK]
        self.patch(check, "check_gateway", lambda situation: self.found)

    def answer_check(self, **changes: Any) -> None:
        """Let a gateway say this of itself."""
        report = {
            "version": "1.2",
            "pid": 7,
            "uid": 33,
            "gids": [33],
            "user": "www-data",
            "machine": machine_id(),
            "open_files": 20_000,
            "concurrency": 5,
            "settings": settings_as_json(Settings(php_script="/srv/app/websocket.php")),
        }
        self.answer(200, {**report, **changes})

    def levels(self, *arguments: str) -> dict[str, str]:
        """The level of each finding, by its id."""
        ended = self.run_phpgw("check", "--json", *arguments)
        return {each["id"]: each["level"] for each in json.loads(ended.stdout)["findings"]}

    def status(self, *arguments: str) -> int:
        return self.run_phpgw("check", *arguments).status


class ExitStatusTests(CheckTestCase):
    def test_running(self) -> None:
        self.answer_check()
        for found, status, strict in ((_OK, 0, 0), (_WARN, 0, 1), (_WRONG, 1, 1)):
            self.found = [found]
            self.assertEqual(status, self.status(*_CONFIGURED))
            self.assertEqual(strict, self.status(*_CONFIGURED, "--strict"))

    def test_not_running(self) -> None:
        """A gateway that does not run has a status of its own, unless there is worse."""
        self.is_away = True
        self.assertEqual(3, self.status(*_CONFIGURED))
        self.assertEqual(3, self.status())
        self.found = [_WRONG]
        self.assertEqual(1, self.status(*_CONFIGURED))

    def test_invalid_configuration(self) -> None:
        line = self.complaint(2, "check", *_CONFIGURED, "--ping-interval", "often")
        self.assertIn("--ping-interval: got 'often'", line)
        file = Path(self.mktemp())
        file.write_text("nonsense = 1")
        self.complaint(2, "check", "--config", str(file))


class ConfigurationTests(CheckTestCase):
    def test_same(self) -> None:
        self.answer_check()
        levels = self.levels(*_CONFIGURED)
        self.assertEqual(("ok", "ok"), (levels["configuration"], levels["gateway"]))

    def test_none(self) -> None:
        """A gateway that was started with options is found without them."""
        self.answer_check()
        self.assertEqual("note", self.levels()["configuration"])

    def test_usual_file(self) -> None:
        """It is found without its name; what says where PHP is wins over it, and so does --api."""
        file = Path(self.mktemp())
        file.write_text("php-script = '/srv/app/websocket.php'")
        self.patch(sources, "USUAL_FILE", file)
        self.answer_check()
        self.assertIn(f"The configuration is valid ({file})", self.run_phpgw("check").stdout)
        for arguments in (("--php-url", "http://h/"), ("--api", "http://127.0.0.1:8080")):
            self.assertNotIn(str(file), self.run_phpgw("check", *arguments).stdout)

    def test_changed(self) -> None:
        self.answer_check()
        ended = self.run_phpgw("check", *_CONFIGURED, "--ws-path", "/live")
        self.assertIn("note     configuration", ended.stdout)
        self.assertIn("--ws-path", ended.stdout)

    def test_not_running(self) -> None:
        """The configuration is looked at, and all that does not need the gateway."""
        self.is_away = True
        levels = self.levels(*_CONFIGURED)
        self.assertEqual({"configuration": "ok", "gateway": "wrong", "subject": "ok"}, levels)

    def test_refused(self) -> None:
        self.answer(403, {"error": "The request came through a proxy (Via). \x1b[31m"})
        ended = self.run_phpgw("check")
        self.assertEqual(1, ended.status)
        self.assertIn("fix    api-listen = ", ended.stdout)
        self.assertIn("came through a proxy (Via). \\x1b[31m", ended.stdout)


class PublicWayTests(CheckTestCase):
    def test_usage(self) -> None:
        for arguments, text in (
            (("--url", "https://example.com/ws"), "--url: got 'https://example.com/ws'; expected"),
            (("--url", "ws://a/", "--origin", "a"), "--origin: got 'a'; expected the origin"),
            (("--url", "ws://a/", "--idle", "1h"), "--idle: got '1h'; expected a time up to 10m"),
            (("--idle", "2m"), "--url is missing"),
            (("--origin", "https://a"), "--url is missing"),
        ):
            self.assertIn(text, self.complaint(2, "check", *arguments))

    def test_url(self) -> None:
        """The way is followed after the rest, with the gateway's settings."""
        ways: list[PublicWay] = []

        def follow(way: PublicWay, announcer: ApiAnnouncer) -> list[Finding]:
            ways.append(way)
            return [_WRONG]

        self.patch(check, "check_public_way", follow)
        self.answer_check()
        arguments = ("--url", "wss://example.com/ws", "--idle", "75")
        self.assertEqual(1, self.status(*_CONFIGURED, *arguments))
        self.assertEqual(0, self.status(*_CONFIGURED))
        [way] = ways
        self.assertEqual(("https://example.com", 75), (way.origin, way.idle))
        self.assertEqual("/srv/app/websocket.php", way.settings["php-script"])

    def test_away(self) -> None:
        """Without a gateway the way is followed as far as that goes, and makes no client."""
        self.is_away = True
        self.patch(check, "check_public_way", lambda way, announcer: self.tokens(announcer))
        self.assertEqual(3, self.status(*_CONFIGURED, "--url", "ws://127.0.0.1/ws"))

    def tokens(self, announcer: ApiAnnouncer) -> list[Finding]:
        self.assertIsNone(announcer.expect(0))
        return [_OK]

    def test_token(self) -> None:
        """The gateway gives a token, and tells what came with it."""
        announcer = ApiAnnouncer(ApiClient(ApiAccess(UnixAddress("/a"), None), self.exchange), True)
        token = announcer.expect(75)
        assert token is not None
        self.assertIsNone(announcer.report(token))
        probe = self.api.checking.probes.find(token)
        assert probe is not None
        probe.report = {"version": "HTTP/1.1"}
        self.assertEqual({"version": "HTTP/1.1"}, announcer.report(token))
        self.assertEqual([], self.api.checking.asked)


class ApiTests(CheckTestCase):
    def test_script(self) -> None:
        """The gateway asks PHP, unless that is not wanted."""
        self.api.checking.replies_at_once = True
        for arguments, query in (((), "script=on"), (("--no-script",), "script=off")):
            self.requests.clear()
            self.api.clock.advance(1)
            self.assertEqual(0, self.status(*arguments))
            self.assertIn(query, self.requests[0][1].target)
        self.assertEqual(1, len(self.api.checking.asked))

    def test_no_reactor(self) -> None:
        """It never imports the reactor, nor the gateway."""
        script = """
import sys
from phpgw.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert end.code == 3, end.code
for name in ("twisted.internet.reactor", "twisted.internet.endpoints", "phpgw.service"):
    assert name not in sys.modules, name
"""
        subprocess.run(
            [sys.executable, "-c", script, "check", "--api", "unix:/no/such"],
            env=environment(),
            check=True,
            capture_output=True,
            timeout=30,
        )
