"""Tests for :mod:`phpgw.cli.tail`."""

import json
from collections.abc import Callable
from typing import Any

from phpgw.cli import api_client, tail
from phpgw.cli.api_address import ApiAddress
from phpgw.cli.errors import CommandFailed, GatewayUnreachable
from phpgw.cli.web_socket import WebSocketClosed
from phpgw.feed.event_record import event_record
from tests.support.cli_test_case import ApiCliTestCase
from tests.support.event_reports import event_report


class FakeFeed:
    """A connection to the feed, with what comes of it: a message, or what happens instead."""

    def __init__(self, *messages: str | BaseException) -> None:
        self.messages = [*messages]
        self.sent: list[str] = []
        self.is_closed = False

    def send(self, text: str) -> None:
        self.sent.append(text)

    def receive(self) -> str:
        message = self.messages.pop(0)
        if isinstance(message, BaseException):
            raise message
        return message

    def close(self) -> None:
        self.is_closed = True


def event(message: bytes = b"hello", **changes: Any) -> str:
    """A message of the feed with an event."""
    return json.dumps({"event": event_record(event_report(message, **changes), has_bodies=True)})


class TailTests(ApiCliTestCase):
    def feed(self, *messages: str | BaseException) -> FakeFeed:
        """Have a feed with these messages."""
        feed = FakeFeed(*messages)
        self.connections: list[Callable[[], FakeFeed]] = [lambda: feed]
        self.targets: list[str] = []

        def connect(address: ApiAddress, target: str) -> FakeFeed:
            self.targets.append(target)
            return self.connections.pop(0)()

        self.patch(api_client, "open_web_socket", connect)
        self.patch(tail, "_PAUSE", 0)
        return feed

    def test_lines(self) -> None:
        """There is a line for each event, until Ctrl-C."""
        self.feed(event(b"1"), event(b"2"), KeyboardInterrupt())
        lines = self.printed("tail").splitlines()
        self.assertEqual(len(lines), 2)
        self.assertIn('"1" > "HELLO"', lines[0])

    def test_ticket(self) -> None:
        """The API is asked for a ticket, with which the feed is opened."""
        self.feed(KeyboardInterrupt())
        self.printed("tail")
        [(_, request)] = self.requests
        self.assertEqual((request.method, request.target), ("POST", "/feed"))
        self.assertRegex(self.targets[0], r"^/feed\?ticket=[\w-]{40,}$")

    def test_filters(self) -> None:
        """The gateway filters, so that all else is not even sent."""
        feed = self.feed(KeyboardInterrupt())
        self.printed(
            *("tail", "--client", "a", "--user", "42", "--group", "room-1"),
            *("--type", "server", "--outcome", "failed"),
        )
        wanted = {"client_id": "a", "user": "42", "group": "room-1"}
        wanted.update(type="server", outcome="failed")
        self.assertEqual([json.loads(each) for each in feed.sent], [{"events": wanted}])

    def test_no_filter(self) -> None:
        feed = self.feed(KeyboardInterrupt())
        self.printed("tail")
        self.assertEqual(feed.sent, ['{"events": {}}'])

    def test_count(self) -> None:
        self.feed(event(b"1"), event(b"2"), event(b"3"))
        self.assertEqual(len(self.printed("tail", "--count", "2").splitlines()), 2)

    def test_json(self) -> None:
        """It is in ASCII, one event a line, whatever is in it."""
        self.feed(event("\x1b[2J é\n\u202e".encode()))
        text = self.printed("tail", "--json", "--count", "1")
        self.assertTrue(text.isascii() and text.endswith("}\n") and text[:-1].isprintable())
        self.assertEqual(json.loads(text)["message"], "\x1b[2J é\n\u202e")

    def test_wrong_choice(self) -> None:
        line = self.complaint(2, "tail", "--type", "message")
        self.assertIn("server", line)

    def test_lost(self) -> None:
        """It is told how many events are missing, beside the output proper."""
        self.feed('{"lost": 7}', event())
        ended = self.run_phpgw("tail", "--count", "1")
        self.assertEqual((ended.status, len(ended.stdout.splitlines())), (0, 1))
        self.assertIn("Not shown: 7 events", ended.stderr)

    def test_workers_that_are_missing(self) -> None:
        """It is told of which workers no events come, and when they do again."""
        self.feed('{"missing": [1, 3]}', '{"missing": []}', event())
        ended = self.run_phpgw("tail", "--count", "1")
        self.assertEqual((ended.status, len(ended.stdout.splitlines())), (0, 1))
        first, second = ended.stderr.splitlines()
        self.assertIn("No events come from worker 1, worker 3", first)
        self.assertIn("from all workers again", second)

    def test_gateway_is_restarted(self) -> None:
        """It waits for the gateway, and goes on."""
        feed = self.feed(event(b"1"), WebSocketClosed("the gateway stops"))

        def refuse() -> FakeFeed:
            raise GatewayUnreachable("not yet")

        self.connections += [refuse, lambda: FakeFeed(event(b"2"))]
        ended = self.run_phpgw("tail", "--count", "2")
        self.assertEqual((ended.status, len(ended.stdout.splitlines())), (0, 2))
        first, second = ended.stderr.splitlines()
        self.assertIn("The connection has ended (the gateway stops); connecting", first)
        self.assertIn("open again", second)
        self.assertTrue(feed.is_closed)

    def test_token_has_changed(self) -> None:
        """It ends with what is wrong, as it may watch no longer."""
        self.feed(event(b"1"), WebSocketClosed("you may not watch any longer"))

        def refuse() -> FakeFeed:
            raise CommandFailed("The token is not the one in --api-token-file.")

        self.connections.append(refuse)
        ended = self.run_phpgw("tail", "--count", "2")
        self.assertEqual((ended.status, len(ended.stdout.splitlines())), (1, 1))
        self.assertIn("may not watch any longer", ended.stderr)
        self.assertIn("--api-token-file", ended.stderr.splitlines()[-1])

    def test_no_gateway(self) -> None:
        """It does not wait for one that was never there."""
        self.is_away = True
        self.assertIn("no gateway", self.complaint(3, "tail"))

    def test_refused(self) -> None:
        self.feed()

        def refuse() -> FakeFeed:
            raise CommandFailed("32 others watch already.")

        self.connections = [refuse]
        self.assertEqual(self.complaint(1, "tail"), "32 others watch already.")
