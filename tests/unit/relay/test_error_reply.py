"""Tests for :mod:`phpgw.relay.error_reply`."""

import json

from twisted.trial.unittest import SynchronousTestCase

from phpgw.relay.error_reply import ErrorReply

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
