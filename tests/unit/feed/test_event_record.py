"""Tests for :mod:`phpgw.feed.event_record`."""

import json

from twisted.trial.unittest import SynchronousTestCase

from phpgw.api.openapi import openapi_document
from phpgw.feed.event_record import MAX_BODY, event_record
from tests.support.event_reports import event_report
from tests.support.fakes import handshake


class EventRecordTests(SynchronousTestCase):
    def test_all(self) -> None:
        report = event_report(b"hello", "a", user="42")
        self.assertEqual(
            event_record(report, has_bodies=True),
            {
                "id": report.event_id,
                "at": 1000.0,
                "type": "server",
                "client_id": "a",
                "user": "42",
                "outcome": "replied",
                "status": 200,
                "wait_ms": 1.0,
                "php_ms": 2.0,
                "problem": "",
                "is_binary": False,
                "message_size": 5,
                "reply_size": 5,
                "message": "hello",
                "reply": "HELLO",
            },
        )

    def test_description(self) -> None:
        """It has the fields that the description of the API promises."""
        schema = openapi_document()["components"]["schemas"]["Event"]
        record = event_record(event_report(), has_bodies=True)
        self.assertEqual([*record], [*schema["properties"]])
        self.assertEqual([*record], schema["required"])

    def test_without_bodies(self) -> None:
        """Then their sizes are there alone."""
        record = event_record(event_report(b"secret", reply=b"secret too"), has_bodies=False)
        self.assertEqual((record["message_size"], record["reply_size"]), (6, 10))
        self.assertNotIn("secret", json.dumps(record))

    def test_long_bodies(self) -> None:
        """They are cut; the size is that of the whole."""
        record = event_record(event_report(b"x" * 2**20, problem="y" * 10_000), has_bodies=True)
        self.assertEqual((len(record["message"]), record["message_size"]), (MAX_BODY, 2**20))
        self.assertLess(len(record["problem"]), 2000)

    def test_characters_are_whole(self) -> None:
        """A long text is cut between two characters; bytes that are no text, anywhere."""
        for body, expected in (
            (b"x" * 4095 + "é".encode(), "x" * 4095),
            (b"x" * 4093 + "😀".encode(), "x" * 4093),
            (b"x" * 4092 + "😀x".encode(), "x" * 4092 + "😀"),
            (b"x" * 4093 + "é".encode(), "x" * 4093 + "é"),
            (b"\x80" * 5000, "\\x80" * 4093),
        ):
            record = event_record(event_report(body), has_bodies=True)
            self.assertEqual(record["message"], expected)

    def test_no_utf8(self) -> None:
        record = event_record(event_report(b"\xff\x00", is_binary=True), has_bodies=True)
        self.assertEqual(record["message"], "\\xff\0")

    def test_php_was_not_asked(self) -> None:
        record = event_record(event_report(php_seconds=None, status=None), has_bodies=True)
        self.assertEqual((record["php_ms"], record["status"]), (None, None))

    def test_no_headers(self) -> None:
        """No cookie is in it, whatever is recorded."""
        report = event_report()
        report.event.identity = type(report.event.identity)(
            client_id="a", handshake=handshake(headers=((b"Cookie", b"session=secret"),))
        )
        self.assertNotIn("secret", json.dumps(event_record(report, has_bodies=True)))
