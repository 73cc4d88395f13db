"""Tests for :mod:`phpgw.relay.server_replies`."""

import json
from typing import Any

from phpgw.backend.event import Event
from phpgw.hub.client import ServerClient
from phpgw.hub.commands import Close, Join, Send, Target
from tests.support.fake_backend import COMMANDS, STREAM, FakeBackendTestCase
from tests.support.fakes import FakeConnection

_FEED = Target("upstream", ("feed",))


class ServerReplyTests(FakeBackendTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.ran: list[Any] = []
        self.sender: object = None
        self.replies.commander.run_all = self.run_all  # type: ignore[method-assign]
        events = self.relay.outgoing
        self.server = FakeConnection()
        client = ServerClient(events.identity, self.server, upstream="feed")
        events.ask("a test", Event("upstream", b"", events.identity), client)

    def run_all(self, commands: Any, sender: Any = None) -> list[Any]:
        self.ran += commands
        self.sender = sender
        return []

    def test_target(self) -> None:
        """A command without one is for the upstream; others are for whom they name."""
        commands = [
            {"op": "send", "message": "x"},
            {"op": "close", "code": 4000},
            {"op": "join", "group": "g"},
            {"op": "send", "to": {"all": True}, "message": "y"},
        ]
        self.backend.asked[0].reply(json.dumps(commands).encode(), media_type=COMMANDS)
        self.assertEqual(
            [
                Send(_FEED, b"x"),
                Close(_FEED, 4000),
                Join(_FEED, "g"),
                Send(Target("all"), b"y"),
            ],
            self.ran,
        )
        self.assertIsNone(self.sender)

    def test_stream(self) -> None:
        [asked] = self.backend.asked
        asked.begin(media_type=STREAM)
        asked.flush(b'{"op": "send", "message": "x"}\n')
        self.assertEqual([Send(_FEED, b"x")], self.ran)
        asked.end()

    def test_nothing_printed(self) -> None:
        self.backend.asked[0].reply(b"")
        self.assertEqual([], self.server.sent)

    def test_failure(self) -> None:
        """The server is not told, whatever --on-error says."""
        for on_error in ("reply", "close"):
            self.use(on_error=on_error, error_reply="sorry")
            events = self.relay.outgoing
            client = ServerClient(events.identity, self.server, upstream="feed")
            events.ask("a test", Event("upstream", b"", events.identity), client)
            self.backend.asked[-1].reply(status=500)
        self.assertEqual(([], None), (self.server.sent, self.server.closed))
