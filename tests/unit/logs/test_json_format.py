"""Tests for :mod:`phpgw.logs.json_format`."""

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from phpgw.logs.json_format import (
    COMMON_FIELDS,
    DETAILS_FIELD,
    FIELDS,
    JournalJson,
    JsonFormat,
)
from tests.support.hostile_names import HOSTILE_NAMES
from tests.support.log_events import failure_event, log_event


class JsonFormatTests(SynchronousTestCase):
    def read(self, line: str) -> dict[str, Any]:
        """Return the object on a line, which has to be flat."""
        self.assertEqual(1, line.count("\n"))
        self.assertTrue(line.isascii())
        found = json.loads(line)
        assert isinstance(found, dict)
        for value in found.values():
            self.assertIsInstance(value, (str, int, float))
        return found

    def test_line(self) -> None:
        """A line has the fields that its event has, and no others."""
        event = log_event(
            "info",
            "Client {client_id} left: {other}",
            "phpgw.websocket.protocol.GatewayProtocol",
            client_id="127.0.0.1:1",
            code=1001,
            user=None,
            other=object(),
        )
        found = self.read(JsonFormat()(event))
        self.assertRegex(found.pop("timestamp"), r"\A2026-11-\d\dT\d\d:\d\d:25\.250[+-]\d\d:\d\d\Z")
        self.assertTrue(found.pop("message").startswith("Client 127.0.0.1:1 left: <object"))
        self.assertEqual(
            {
                "level": "info",
                "logger": "websocket.protocol",
                "client_id": "127.0.0.1:1",
                "code": 1001,
            },
            found,
        )

    def test_all_fields(self) -> None:
        """There is no other field than those of the three lists."""
        event = {**failure_event(ValueError("x")), **dict.fromkeys(FIELDS, 1)}
        self.assertEqual(
            [*COMMON_FIELDS, *FIELDS, DETAILS_FIELD], [*self.read(JsonFormat()(event))]
        )

    def test_strange_values(self) -> None:
        """A field with an object has its text."""
        event = log_event("info", "x", client_id=b"bytes", user=ValueError("x"))
        found = self.read(JsonFormat()(event))
        self.assertEqual(("b'bytes'", "x"), (found["client_id"], found["user"]))

    def test_traceback(self) -> None:
        found = self.read(JsonFormat()(failure_event(ValueError("x"))))
        self.assertEqual(("critical", "It broke"), (found["level"], found["message"]))
        self.assertIn("ValueError: x", found["details"])

    def test_nothing_to_say(self) -> None:
        for json_format in (JsonFormat(), JournalJson()):
            self.assertEqual("", json_format({}))

    def test_hostile_text(self) -> None:
        for name in (*HOSTILE_NAMES, '"}\n{"level":"info"', "\ud800"):
            found = self.read(JsonFormat()(log_event("info", "{client_id}", client_id=name)))
            self.assertEqual((name, name), (found["message"], found["client_id"]))

    def test_journal(self) -> None:
        """For systemd, the level is in front."""
        line = JournalJson()(log_event("warn", "x"))
        self.assertEqual("<4>", line[:3])
        self.assertEqual("x", self.read(line[3:])["message"])
