"""Tests for :mod:`phpgw.console.login`."""

import json

from twisted.logger import capturedLogs, formatEvent

from tests.support.fakes import LOCAL, REMOTE, Exchange, request_head
from tests.support.in_memory_console import FROM_PAGE, ORIGIN, ConsoleTestCase


class CodeTests(ConsoleTestCase):
    def test_for_users_of_the_api(self) -> None:
        answer = self.api.ask("POST", "/console/code")
        self.assertEqual((200, 60), (answer.status, json.loads(answer.body)["seconds"]))
        self.assertEqual("no-store", answer.headers["Cache-Control"])

    def test_nobody_else(self) -> None:
        """Neither another machine, nor a proxy, nor a browser gets one."""
        self.assertEqual(403, self.api.ask("POST", "/console/code", peer=REMOTE).status)
        for name, value in (
            ("X-Forwarded-For", "203.0.113.7"),
            ("Origin", ORIGIN),
            ("Host", "evil.example"),
            ("Connection", "upgrade"),
        ):
            answer = self.api.ask("POST", "/console/code", headers=[(name, value)])
            self.assertEqual(403, answer.status, name)

    def test_no_links(self) -> None:
        """A link cannot make one."""
        self.assertEqual(405, self.api.ask("GET", "/console/code").status)


class TokenTests(ConsoleTestCase):
    token = b"s3cret"

    def test_token(self) -> None:
        self.assertEqual(401, self.api.ask("POST", "/console/code").status)
        headers = [("Authorization", "Bearer s3cret")]
        for peer in (LOCAL, REMOTE):
            answer = self.api.ask("POST", "/console/code", headers=headers, peer=peer)
            self.assertEqual(200, answer.status)


class SessionTests(ConsoleTestCase):
    def test_cookie(self) -> None:
        answer = self.log_in(self.code())
        self.assertEqual((204, b""), (answer.status, answer.body))
        name, *attributes = answer.headers["Set-Cookie"].split("; ")
        self.assertRegex(name, r"\Aphpgw_console_8080=[A-Za-z0-9_-]{43}\Z")
        self.assertEqual(["HttpOnly", "SameSite=strict"], sorted(attributes))

    def test_secure_cookie(self) -> None:
        """Over TLS, also where a proxy ends it."""
        headers = {"Origin": "https://site.example"}
        cookie = self.log_in(self.code(), **headers).headers["Set-Cookie"]
        self.assertTrue(cookie.startswith("phpgw_console_default="))
        self.assertIn("Secure", cookie.split("; "))

    def test_works_once(self) -> None:
        code = self.code()
        self.assertEqual(204, self.log_in(code).status)
        answer = self.log_in(code)
        self.assertEqual(401, answer.status)
        self.assertIn("used", json.loads(answer.body)["error"])
        self.assertNotIn("Set-Cookie", answer.headers)

    def test_too_late(self) -> None:
        code = self.code()
        self.clock.advance(60)
        self.assertEqual(401, self.log_in(code).status)

    def test_wrong_codes(self) -> None:
        """They are refused, logged without what they are, and leave good codes alone."""
        good = self.code()
        with capturedLogs() as events:
            for wrong in ("", "x", good[:-1], "x" * 500):
                self.assertEqual(401, self.log_in(wrong).status)
        lines = [formatEvent(event) or "" for event in events]
        self.assertEqual(4, len(lines))
        for line in lines:
            self.assertIn("Refused 203.0.113.7:51110 the console", line)
            self.assertNotIn(good[:-1], line)
        self.assertEqual(204, self.log_in(good).status)

    def test_oldest_code_ends(self) -> None:
        """There are at most 16 codes."""
        codes = [self.code() for _ in range(17)]
        self.assertEqual([401, 204, 204], [self.log_in(codes[each]).status for each in (0, 1, 16)])

    def test_foreign_page(self) -> None:
        """It cannot log in, even with a code, and does not use it up."""
        code = self.code()
        self.assertEqual(403, self.log_in(code, Origin="http://evil.example", **_UNTOLD).status)
        self.assertEqual(403, self.log_in(code, **{"Sec-Fetch-Site": "cross-site"}).status)
        self.assertEqual(204, self.log_in(code).status)

    def test_no_permission_for_other_origins(self) -> None:
        """A browser asks before it sends the code for a page of another origin: it is not told."""
        headers = {
            "Origin": "http://evil.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "phpgw-console-code",
        }
        for path in ("session", "api/clients"):
            answer = self.ask("OPTIONS", f"/console/{path}", headers)
            self.assertGreaterEqual(answer.status, 400)
            names = {name.lower() for name in answer.headers}
            self.assertFalse({name for name in names if name.startswith("access-control")})

    def test_log_out(self) -> None:
        """The session ends, and the cookie with it."""
        session = {**FROM_PAGE, "Cookie": self.cookie()}
        self.assertEqual(200, self.ask("GET", "/console/api/clients", session).status)
        answer = self.ask("DELETE", "/console/session", session)
        self.assertEqual(204, answer.status)
        self.assertIn("phpgw_console_8080=; Max-Age=0", answer.headers["Set-Cookie"])
        self.assertEqual(401, self.ask("GET", "/console/api/clients", session).status)
        self.assertEqual(204, self.ask("DELETE", "/console/session", session).status)

    def test_no_log_out_by_others(self) -> None:
        session = {"Cookie": self.cookie()}
        for headers in ({}, {**FROM_PAGE, "Sec-Fetch-Site": "same-site"}):
            answer = self.ask("DELETE", "/console/session", {**session, **headers})
            self.assertEqual(403, answer.status)
        answer = self.ask("GET", "/console/api/clients", {**FROM_PAGE, **session})
        self.assertEqual(200, answer.status)

    def test_bodies_of_strangers(self) -> None:
        """Nothing of a body is kept, unless it is of a session."""
        session = {**FROM_PAGE, "Cookie": self.cookie()}
        for headers, expected in (({}, 401), (session, 200)):
            allows = self.api.logins.access.allows
            exchange = Exchange(self.api.root, peer=REMOTE, wants_body=allows)
            given = {**FROM_PAGE, **headers}.items()
            exchange.send(request_head("POST", "/console/api/commands", given, 2) + b"[]")
            self.assertEqual(expected, exchange.answer().status)


_UNTOLD = {"Sec-Fetch-Site": ""}
