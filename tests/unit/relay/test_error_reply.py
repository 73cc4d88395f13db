"""Tests for :mod:`phpgw.relay.error_reply`."""

import json

from twisted.trial.unittest import SynchronousTestCase

from phpgw.relay.error_reply import ErrorReply, may_see_errors
from tests.support.fakes import handshake

_ERROR = 'Parse error: "x" %id% %error%\n#0 \\ é'


class ErrorReplyTests(SynchronousTestCase):
    def test_text(self) -> None:
        reply = ErrorReply("error %id%: %error% (%id%)")
        self.assertEqual(f"error 12: {_ERROR} (12)".encode(), reply.text("12", _ERROR))
        self.assertEqual(b"error 12:  (12)", reply.text("12", ""))
        self.assertEqual(b"sorry", ErrorReply("sorry").text("12", _ERROR))

    def test_json(self) -> None:
        """In JSON, the description is within a string, whatever is in it."""
        reply = ErrorReply('{"event": "failed", "id": "%id%", "error": "%error%"}')
        self.assertEqual(
            {"event": "failed", "id": "12", "error": _ERROR}, json.loads(reply.text("12", _ERROR))
        )

    def test_half_a_character(self) -> None:
        """A text message is UTF-8, whatever is in the description."""
        self.assertEqual(b"\\ud800", ErrorReply("%error%").text("1", "\ud800"))


class MaySeeErrorsTests(SynchronousTestCase):
    def may_see(self, origin: bytes | None, host: bytes) -> bool:
        """Ask for a page of another site, as far as the gateway knows."""
        headers = () if origin is None else ((b"Origin", origin),)
        return may_see_errors(handshake(host=host, headers=headers, is_cross_origin=True))

    def test_same_site(self) -> None:
        """It may, as may a client that is no page."""
        self.assertTrue(may_see_errors(handshake()))

    def test_this_machine(self) -> None:
        """A page of a developer's own server may, whatever it calls this machine."""
        for origin, host in (
            (b"http://localhost:3000", b"127.0.0.1:8080"),
            (b"http://127.0.0.1:3000", b"localhost:8080"),
            (b"https://app.localhost", b"[::1]:8080"),
        ):
            self.assertTrue(self.may_see(origin, host), origin)

    def test_other_sites(self) -> None:
        """Whatever site a developer visits, it may not."""
        for origin, host in (
            (b"https://evil.example", b"127.0.0.1:8080"),
            (b"https://localhost.evil.example", b"localhost:8080"),
            (b"null", b"127.0.0.1:8080"),
            (b"file://", b"127.0.0.1:8080"),
            (b"http://localhost:3000, https://evil.example", b"127.0.0.1:8080"),
            (b"http://localhost:3000", b"site.example"),
            (None, b"127.0.0.1:8080"),
        ):
            self.assertFalse(self.may_see(origin, host), origin)
