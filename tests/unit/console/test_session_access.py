"""Tests for :mod:`phpgw.console.session_access`: what a session is good for."""

import json

from tests.support.fakes import LOCAL, REMOTE
from tests.support.in_memory_console import FROM_PAGE, ORIGIN, ConsoleTestCase

_BATCH = b'[{"op": "send", "to": {"all": true}, "message": "hi"}]'


class SessionAccessTests(ConsoleTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.connection = self.api.connect("a")
        self.session = {"Cookie": self.cookie()}

    def get(self, target: str = "/console/api/clients", **headers: str) -> int:
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("GET", target, {**self.session, **headers}).status

    def post(self, **headers: str) -> int:
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        given = {**self.session, **headers}
        return self.ask("POST", "/console/api/commands", given, _BATCH).status

    def test_reads(self) -> None:
        """The page's requests have the browser's word, or an Origin or Referer."""
        self.assertEqual(200, self.get(Sec_Fetch_Site="same-origin"))
        self.assertEqual(200, self.get(Referer=f"{ORIGIN}/console"))
        self.assertEqual(200, self.get(Origin=ORIGIN))
        self.assertEqual(403, self.get())
        self.assertEqual(403, self.get(Sec_Fetch_Site="same-site"))
        self.assertEqual(403, self.get(Sec_Fetch_Site="none"))
        self.assertEqual(403, self.get(Sec_Fetch_Site="same-origin", Origin="http://localhost"))
        self.assertEqual(403, self.get(Referer="http://localhost:3000/console"))
        self.assertEqual(403, self.get(Origin="http://evil.example"))

    def test_writes(self) -> None:
        """The page's requests that change something have an Origin."""
        self.assertEqual(403, self.post(Sec_Fetch_Site="same-origin"))
        self.assertEqual(403, self.post(Origin="http://localhost:3000"))
        self.assertEqual(403, self.post(Origin="https://localhost:8080"))
        self.assertEqual(403, self.post(Origin=ORIGIN, Sec_Fetch_Site="cross-site"))
        self.assertEqual([], self.connection.sent)
        self.assertEqual(200, self.post(**FROM_PAGE))
        self.assertEqual(200, self.post(Origin=ORIGIN))
        self.assertEqual([(b"hi", False)] * 2, self.connection.sent)

    def test_no_session(self) -> None:
        """Neither an address of this machine nor a token is worth anything here."""
        for headers in ({}, {"Cookie": "phpgw_console_8080=x"}, {"Cookie": "phpgw_console_8080"}):
            given = {**FROM_PAGE, "Authorization": "Bearer s3cret", **headers}
            answer = self.ask("GET", "/console/api/clients", given, peer=LOCAL)
            self.assertEqual(401, answer.status)
            self.assertIn("phpgw console", json.loads(answer.body)["error"])

    def test_only_below_the_console(self) -> None:
        """A session is worth nothing for the API of programs."""
        given = {**FROM_PAGE, **self.session}
        for peer in (LOCAL, REMOTE):
            for method, path in (
                ("GET", "clients"),
                ("POST", "commands"),
                ("POST", "console/code"),
            ):
                answer = self.ask(method, f"/{path}", given, _BATCH, peer=peer)
                self.assertEqual(403, answer.status, path)
        self.assertEqual([], self.connection.sent)

    def test_feed(self) -> None:
        """A ticket for the feed is for a session, and the feed is for a ticket."""
        feed = "/console/api/feed"
        self.assertEqual(401, self.ask("POST", feed, FROM_PAGE).status)
        foreign = {**self.session, "Origin": "http://localhost:3000"}
        self.assertEqual(403, self.ask("POST", feed, foreign).status)
        answer = self.ask("POST", feed, {**FROM_PAGE, **self.session})
        self.assertEqual((200, {"ticket", "seconds"}), (answer.status, {*json.loads(answer.body)}))
        self.assertGreaterEqual(self.ask("GET", feed, {**FROM_PAGE, **self.session}).status, 400)

    def test_part_of_the_api(self) -> None:
        """What no page needs is not there."""
        for path in ("hold", "release", "send", "stats", "openapi.json", "nothing", ""):
            self.assertEqual(404, self.get(f"/console/api/{path}", Sec_Fetch_Site="same-origin"))

    def test_another_ports_cookie(self) -> None:
        """It has the name of the port, as several gateways of a host share their cookies."""
        name, _, token = self.session["Cookie"].partition("=")
        self.assertEqual("phpgw_console_8080", name)
        self.session = {"Cookie": f"phpgw_console_8081={token}"}
        self.assertEqual(401, self.get(Sec_Fetch_Site="same-origin"))
        self.session = {"Cookie": f"phpgw_console_8081=x; {name}={token}; x=y; z"}
        self.assertEqual(200, self.get(Sec_Fetch_Site="same-origin"))

    def test_expires(self) -> None:
        self.clock.advance(12 * 3600 - 1)
        self.assertEqual(200, self.get(Sec_Fetch_Site="same-origin"))
        self.clock.advance(1)
        self.assertEqual(401, self.get(Sec_Fetch_Site="same-origin"))

    def test_bounded(self) -> None:
        """The oldest of many sessions ends."""
        for _ in range(31):
            self.cookie()
        self.assertEqual(200, self.get(Sec_Fetch_Site="same-origin"))
        self.cookie()
        self.assertEqual(401, self.get(Sec_Fetch_Site="same-origin"))
