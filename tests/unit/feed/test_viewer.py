"""Tests for :mod:`phpgw.feed.viewer`, on a whole gateway in memory."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.in_memory_browser import CLOSE, PING, PONG, TEXT, InMemoryBrowser, frame
from tests.support.in_memory_browser import request as handshake_request
from tests.support.in_memory_gateway import InMemoryGateway, running_gateway


class Watched:
    """A gateway that is watched."""

    def __init__(self, gateway: InMemoryGateway) -> None:
        self.gateway = gateway

    def ticket(self) -> str:
        """Get a ticket."""
        self.gateway.post("/feed", "application/json", b"")
        ticket: str = json.loads(self.gateway.caller.read_response())["ticket"]
        return ticket

    def connect(self, ticket: str | None = None, **headers: Any) -> InMemoryBrowser:
        """Connect a viewer."""
        viewer = InMemoryBrowser(self.gateway.site)
        path = f"/feed?ticket={self.ticket() if ticket is None else ticket}"
        viewer.send(handshake_request(path, **headers))
        viewer.read_response()
        return viewer

    def code(self) -> str:
        """Get a code for the console."""
        self.gateway.post("/console/code", "application/json", b"")
        code: str = json.loads(self.gateway.caller.read_response())["code"]
        return code

    def log_in(self, code: str | None = None) -> "ConsoleTab":
        """Open the console in a browser."""
        code = code or self.code()
        tab = ConsoleTab(self)
        tab.post("session", f"Phpgw-Console-Code: {code}")
        head = tab.http.response.decode()
        tab.cookie = head.partition("Set-Cookie: ")[2].partition(";")[0]
        return tab

    def messages(self, viewer: InMemoryBrowser) -> list[dict[str, Any]]:
        """The messages that a viewer has got."""
        self.gateway.reactor.advance(0.1)
        return [json.loads(payload) for opcode, payload in viewer.frames() if opcode == TEXT]


@contextmanager
def watched(**settings: Any) -> Iterator[Watched]:
    with running_gateway(**settings) as gateway:
        yield Watched(gateway)


class ConsoleTab:
    """A browser that has logged in to the console."""

    cookie = ""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self.http = InMemoryBrowser(watched.gateway.site)

    def post(self, path: str, *headers: str, method: str = "POST") -> bytes:
        """Send a request as the page does; return the body of the response."""
        lines = (
            f"{method} /console/{path} HTTP/1.1",
            *("Host: example.com:8080", "Origin: http://example.com:8080", "Content-Length: 0"),
            f"Cookie: {self.cookie}",
            *headers,
        )
        self.http.send("\r\n".join([*lines, "", ""]).encode())
        return self.http.read_response()

    def watch(self) -> InMemoryBrowser:
        """Connect to the feed, and subscribe to all that it has."""
        ticket = json.loads(self.post("api/feed"))["ticket"]
        viewer = self._watched.connect(ticket)
        viewer.send(frame(TEXT, b'{"stats": true, "events": {}}'))
        self._watched.messages(viewer)
        return viewer


class ViewerTests(SynchronousTestCase):
    def test_events(self) -> None:
        """A viewer sees each message with its reply, if they are recorded."""
        for count, expected in ((0, (None, None)), (1, ("hello", "reply"))):
            with watched(record_events=count) as it:
                viewer = it.connect(Origin="http://example.com:8080")
                self.assertEqual(viewer.status, 101)
                viewer.send(frame(TEXT, b'{"events": {"type": "server"}}'))
                it.gateway.round_trip()
                [message] = it.messages(viewer)
                event = message["event"]
                self.assertEqual((event["message"], event["reply"]), expected)
                self.assertEqual(event["client_id"], it.gateway.client_id)

    def test_stats(self) -> None:
        with watched() as it:
            viewer = it.connect()
            viewer.send(frame(TEXT, b'{"stats": true}'))
            self.assertEqual(it.messages(viewer)[0]["stats"]["clients_now"], 1)
            it.gateway.reactor.advance(1)
            self.assertEqual(len(it.messages(viewer)), 1)

    def test_viewers_are_no_clients(self) -> None:
        """Nobody can push to a viewer, and PHP hears nothing of it."""
        with watched() as it:
            viewer = it.connect()
            it.gateway.post("/send", "application/x-www-form-urlencoded", b"all=1&message=x")
            self.assertEqual(it.messages(viewer), [])

    def test_ticket(self) -> None:
        """It is for one connection, and for half a minute."""
        with watched() as it:
            ticket = it.ticket()
            self.assertEqual(it.connect(ticket).status, 101)
            late = it.ticket()
            it.gateway.reactor.advance(31)
            for wrong in ("", "x", ticket, late):
                viewer = it.connect(wrong)
                self.assertEqual(viewer.status, 403, wrong)

    def test_ticket_for_those_of_the_api_alone(self) -> None:
        with watched() as it:
            stranger = InMemoryBrowser(it.gateway.site)
            stranger.send(b"POST /feed HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
            stranger.read_response()
            self.assertEqual(stranger.status, 403)

    def test_pages_of_other_sites(self) -> None:
        """They may not watch, not even with a ticket."""
        with watched() as it:
            for origin in ("https://evil.example", "null", "http://example.com.evil.example"):
                self.assertEqual(it.connect(Origin=origin).status, 403, origin)

    def test_no_handshake(self) -> None:
        """A ticket is not used up by it."""
        with watched() as it:
            ticket = it.ticket()
            self.assertEqual(it.connect(ticket, Upgrade=None, Connection=None).status, 426)
            self.assertEqual(it.connect(ticket).status, 101)

    def test_too_many(self) -> None:
        with watched() as it:
            viewers = [it.connect() for _ in range(32)]
            self.assertEqual({viewer.status for viewer in viewers}, {101})
            self.assertEqual(it.connect().status, 503)
            viewers[0].hang_up()
            self.assertEqual(it.connect().status, 101)

    def test_wrong_subscription(self) -> None:
        """It is closed with what is wrong."""
        for message in (b"hello", b'{"events": {"type": "%b"}}' % (b"x" * 200)):
            with watched() as it:
                viewer = it.connect()
                viewer.send(frame(TEXT, message))
                code, reason = viewer.close_frame()
                self.assertEqual(code, 1008)
                self.assertIn("expected", reason)
                self.assertTrue(viewer.is_cut)

    def test_long_message(self) -> None:
        """A viewer has little to say."""
        with watched() as it:
            viewer = it.connect()
            viewer.send(frame(TEXT, b" " * 20_000))
            self.assertIn(CLOSE, [opcode for opcode, _ in viewer.frames()])

    def test_pings(self) -> None:
        """They are answered, as long as the answers are read."""
        with watched() as it:
            viewer = it.connect()
            viewer.send(frame(PING, b"x" * 100) * 10_000)
            answers = viewer.frames()
            self.assertEqual({opcode for opcode, _ in answers}, {PONG})
            self.assertLess(len(answers), 1000)

    def test_end(self) -> None:
        """A viewer that goes leaves nothing behind."""
        with watched() as it:
            for cleanly in (True, False):
                viewer = it.connect()
                viewer.send(frame(TEXT, b'{"stats": true, "events": {}}'))
                viewer.hang_up(cleanly=cleanly)
                it.gateway.round_trip()
                it.gateway.reactor.advance(2)

    def test_viewer_that_never_reads(self) -> None:
        """It is cut off once it has been closed: no memory is kept for it."""
        with watched() as it:
            viewer = it.connect()
            viewer.send(frame(TEXT, b'{"stats": true}') * 1000)
            self.assertLess(len(viewer.transport.value()), 2**19)
            viewer.send(frame(TEXT, b"nonsense"))
            self.assertFalse(viewer.transport.disconnected)
            it.gateway.reactor.advance(5)
            self.assertTrue(viewer.transport.disconnected)

    def test_log_out(self) -> None:
        """All tabs of the session stop watching; others go on."""
        with watched() as it:
            tab, other = it.log_in(), it.log_in()
            viewers, others = [tab.watch(), tab.watch()], other.watch()
            tab.post("session", method="DELETE")
            for viewer in viewers:
                self.assertEqual(viewer.close_frame(), (1008, "you may not watch any longer"))
                self.assertTrue(viewer.is_cut)
            it.gateway.round_trip()
            self.assertTrue(it.messages(others))

    def test_ticket_of_a_session_that_has_ended(self) -> None:
        with watched() as it:
            tab = it.log_in()
            ticket = json.loads(tab.post("api/feed"))["ticket"]
            tab.post("session", method="DELETE")
            self.assertEqual(it.connect(ticket).status, 403)

    def test_session_expires(self) -> None:
        """Nothing is sent after 12 hours."""
        with watched() as it:
            viewer = it.log_in().watch()
            it.gateway.reactor.advance(12 * 3600)
            self.assertEqual([opcode for opcode, _ in viewer.frames()], [CLOSE])

    def test_token_changes(self) -> None:
        """Who has had the old token stops watching, also in the console."""
        path = Path(self.mktemp())
        path.write_text("old")
        with watched(api_token_file=path, api_trust_local=True) as it:
            here = it.connect()
            here.send(frame(TEXT, b'{"events": {}}'))
            it.gateway.caller.send(
                b"POST /feed HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
                b"Authorization: Bearer old\r\n\r\n"
            )
            elsewhere = it.connect(json.loads(it.gateway.caller.read_response())["ticket"])
            it.gateway.caller.send(
                b"POST /console/code HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
                b"Authorization: Bearer old\r\n\r\n"
            )
            tab = it.log_in(json.loads(it.gateway.caller.read_response())["code"])
            viewers = [elsewhere, tab.watch()]
            for content, expected in (("old", []), ("", []), ("new", [CLOSE])):
                path.write_text(content)
                it.gateway.gateway.reload()
                for viewer in viewers:
                    self.assertEqual([opcode for opcode, _ in viewer.frames()], expected, content)
            self.assertIn(b"not logged in", tab.post("api/feed"))
            it.gateway.round_trip()
            self.assertTrue(it.messages(here))

    def test_stop(self) -> None:
        with watched() as it:
            viewer = it.connect()
            viewer.send(frame(TEXT, b'{"stats": true}'))
            it.gateway.gateway.stopService()
            self.assertEqual(viewer.close_frame(), (1001, "the gateway stops"))
            self.assertEqual(it.connect("x").status, 403)
