"""Tests for :mod:`phpgw.websocket.connection_table`."""

import gc
from pathlib import Path
from weakref import ref

from twisted.internet.address import IPv4Address

from phpgw.api.access import Caller
from phpgw.hub.client import Client
from phpgw.process.proxy_protocol import ProxyFactory
from phpgw.time_slices import run_to_completion
from phpgw.websocket.connection_table import ConnectionState
from phpgw.websocket.drain import Drain
from phpgw.websocket.lifetimes import Lifetime
from phpgw.websocket.rate_limit import RateLimit
from tests.support.certificate import make_certificate
from tests.support.fakes import FakeConnection, handshake
from tests.support.in_memory_browser import (
    CLOSE,
    PING,
    TEXT,
    InMemoryBrowser,
    InMemoryTlsBrowser,
    frame,
)
from tests.support.site_with_relay import ID, SiteWithRelayTestCase

_EVERYBODY = [
    {"op": "send", "to": to, "message": "hi"}
    for to in ({"group": "room"}, {"user": "zoe"}, {"all": True})
]
_NOTES = (
    {"op": "bind", "to": {"client": ID}, "user": "zoe"},
    {"op": "state", "to": {"client": ID}, "state": "logged-in"},
    {"op": "join", "to": {"client": ID}, "group": "room"},
    {"op": "leave", "to": {"client": ID}, "group": "other"},
)


class ConnectionsTestCase(SiteWithRelayTestCase):
    def state(self) -> ConnectionState | None:
        return self.table.state(self.connection())

    def assert_found_by_nothing(self) -> None:
        self.assertEqual([0, 0, 0], [each["delivered"] for each in self.command(*_EVERYBODY)])
        self.assertEqual((0, []), (len(self.registry), list(self.registry)))
        self.assertEqual([], [*self.registry.groups.names(), *self.registry.users.names()])


class PendingTests(ConnectionsTestCase):
    def test_found_by_its_id_alone(self) -> None:
        """A pending client is in no group, and gets no broadcasts."""
        self.come()
        self.assertIs(ConnectionState.PENDING, self.state())
        self.assertEqual([1] * 4, [each["delivered"] for each in self.command(*_NOTES)])
        self.assert_found_by_nothing()
        self.assertIsNotNone(self.found())

    def test_refused(self) -> None:
        self.come()
        self.command(*_NOTES)
        self.php.asked[0].reply(status=401)
        self.assert_found_by_nothing()
        self.assertIsNone(self.found())
        self.assertEqual([], self.table.connections())

    def test_admitted(self) -> None:
        """User, state and groups that were set while it was pending count."""
        browser = self.come()
        self.command(*_NOTES, {"op": "send", "to": {"client": ID}, "message": "first"})
        self.php.asked[0].reply(status=204)
        self.assertIs(ConnectionState.OPEN, self.state())
        self.assertEqual([1, 1, 1], [each["delivered"] for each in self.command(*_EVERYBODY)])
        browser.read_response()
        self.clock.advance(0)
        self.assertEqual([(TEXT, b"first"), *[(TEXT, b"hi")] * 3], browser.frames())

    def test_closed_by_php(self) -> None:
        """It gets only its close frame, once it is open."""
        browser = self.come()
        self.command({"op": "close", "to": {"client": ID}, "code": 4000, "reason": "no"})
        self.assertIs(ConnectionState.CLOSING, self.state())
        self.assertIsNone(self.found())
        self.php.asked[0].reply(status=204)
        self.assert_found_by_nothing()
        browser.read_response()
        self.assertEqual([(CLOSE, b"\x0f\xa0no")], browser.frames())

    def test_closed_by_the_connect_reply(self) -> None:
        browser = self.come()
        self.reply(
            {"op": "bind", "user": "zoe"},
            {"op": "close", "code": 4000},
            {"op": "state", "state": "kicked"},
        )
        self.assertIs(ConnectionState.CLOSING, self.state())
        self.assert_found_by_nothing()
        browser.hang_up()
        self.assert_last("disconnect", "zoe", "kicked")

    def assert_last(self, kind: str, user: str | None, state: str | None) -> None:
        event = self.php.asked[-1].event
        self.assertEqual(
            (kind, user, state), (event.type, event.identity.user, event.identity.state)
        )


class ClosingTests(ConnectionsTestCase):
    asks_php = False
    concurrency = 1

    def close(self) -> None:
        """What PHP can do."""
        self.command({"op": "close", "to": {"client": ID}, "code": 4001, "reason": "bye"})

    def member(self) -> InMemoryBrowser:
        """Return a browser whose client has a group and a user."""
        browser = self.connect()
        self.command(*_NOTES)
        return browser

    def test_found_by_nothing(self) -> None:
        browser = self.member()
        self.assertEqual([1, 1, 1], [each["delivered"] for each in self.command(*_EVERYBODY)])
        self.close()
        self.assertIs(ConnectionState.CLOSING, self.state())
        self.assert_found_by_nothing()
        self.assertIsNone(self.found())
        push = b"POST /send HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b"
        body = b"message=x&client_id=" + ID.encode()
        self.assertIsNone(self.fast_path.respond(push % (len(body), body), Caller(8080, None)))
        self.clock.advance(0)
        self.assertEqual(CLOSE, browser.frames()[-1][0])

    def test_every_way_to_close(self) -> None:
        """Whichever side closes, and for any reason."""
        for close in (
            lambda browser: self.close(),
            lambda browser: self.connection().close_if_idle(1001, "old", "age"),
            lambda browser: self.connection().abort(),
            lambda browser: browser.send(frame(CLOSE, b"\x03\xe8")),
            lambda browser: browser.send(frame(3, b"x")),
            lambda browser: browser.send(frame(TEXT, b"\xff")),
            lambda browser: browser.send(frame(TEXT, b"x" * 1001)),
        ):
            browser = self.member()
            close(browser)
            self.assertIs(ConnectionState.CLOSING, self.state())
            self.assert_found_by_nothing()
            browser.hang_up()
            self.assertEqual("disconnect", self.php.asked[-1].event.type)
            self.php.asked[-1].reply()

    def test_what_waits_in_its_inbox(self) -> None:
        """It never reaches PHP, whether another event of the client runs or waits."""
        browser = self.connect()
        browser.send(b"".join(frame(TEXT, b"%d" % number) for number in range(12)))
        self.close()
        browser.send(frame(TEXT, b"late"))
        self.php.asked[0].reply(b"answer")
        self.assertEqual([("server", b"0")], self.told())
        self.assertEqual([CLOSE], [opcode for opcode, _ in browser.frames()])
        browser.hang_up()
        self.assertEqual([("disconnect", b"bye")], self.told()[1:])
        self.assertEqual(4001, self.php.asked[-1].event.code)

    def test_behind_others(self) -> None:
        """It frees its place in the queue."""
        other = self.connect(IPv4Address("TCP", "192.0.2.2", 5000))
        other.send(frame(TEXT, b"first"))
        browser = self.connect()
        browser.send(frame(TEXT, b"second") * 3)
        self.assertEqual(1, self.metrics.events_waiting_now)
        self.close()
        self.assertEqual(0, self.metrics.events_waiting_now)
        self.php.asked[0].reply()
        self.assertEqual([("server", b"first")], self.told())
        browser.hang_up()
        self.assertEqual(("disconnect", b"bye"), self.told()[-1])

    def test_closed_by_its_own_reply(self) -> None:
        browser = self.connect()
        browser.send(b"".join(frame(TEXT, b"%d" % number) for number in range(3)))
        self.reply({"op": "close"}, {"op": "send", "message": "too late"})
        self.assertEqual([("server", b"0")], self.told())
        self.assertEqual([CLOSE], [opcode for opcode, _ in browser.frames()])

    def test_id_stays_its_own(self) -> None:
        """No other client gets its id before its connection has ended."""
        browser = self.connect()
        self.close()
        self.assertEqual(409, self.connect().status)
        browser.hang_up()
        self.assertEqual(101, self.connect().status)


class NotesTests(ConnectionsTestCase):
    """What PHP sets on a client that has disconnected is in its disconnect event."""

    asks_php = False

    def assert_told(self) -> None:
        event = self.php.asked[-1].event
        self.assertEqual(
            ("disconnect", "zoe", "logged-in"),
            (event.type, event.identity.user, event.identity.state),
        )
        self.assertEqual([0] * 4, [each["delivered"] for each in self.command(*_NOTES)])
        self.assert_found_by_nothing()

    def test_by_the_reply_under_way(self) -> None:
        browser = self.connect()
        browser.send(frame(TEXT, b"login"))
        browser.hang_up()
        self.reply(
            {"op": "bind", "user": "zoe"},
            {"op": "state", "state": "logged-in"},
            {"op": "join", "group": "room"},
        )
        self.assert_told()

    def test_by_a_command_of_the_handler_under_way(self) -> None:
        for is_closing in (False, True):
            browser = self.connect()
            browser.send(frame(TEXT, b"login"))
            if is_closing:
                self.connection().close(1000, "")
            else:
                browser.hang_up()
            self.assertEqual([1] * 4, [each["delivered"] for each in self.command(*_NOTES)])
            self.assert_found_by_nothing()
            self.php.asked[-1].reply()
            if is_closing:
                browser.hang_up()
            self.assert_told()
            self.php.asked[-1].reply()

    def test_unbound(self) -> None:
        browser = self.connect()
        self.command(*_NOTES)
        browser.send(frame(TEXT, b"logout"))
        browser.hang_up()
        self.reply({"op": "unbind"}, {"op": "state", "state": ""})
        event = self.php.asked[-1].event
        self.assertEqual(
            ("disconnect", None, None), (event.type, event.identity.user, event.identity.state)
        )

    def test_until_it_was_handed_over(self) -> None:
        """PHP is unreachable at first."""
        browser = self.connect()
        self.php.at_once = lambda asked: asked.refuse()
        browser.hang_up()
        self.clock.pump([0.1] * 20)
        self.assertEqual([1] * 4, [each["delivered"] for each in self.command(*_NOTES)])
        self.php.at_once = lambda asked: None
        self.clock.pump([0.1] * 600)
        self.assert_told()

    def test_another_has_its_id(self) -> None:
        """A command with the id is for the client that has it now."""
        browser = self.connect()
        browser.send(frame(TEXT, b"slow"))
        browser.hang_up()
        self.connect()
        self.command(*_NOTES)
        self.php.asked[0].reply()
        event = self.php.asked[-1].event
        self.assertEqual(("disconnect", None), (event.type, event.identity.user))
        client = self.found()
        assert client is not None
        self.assertEqual("zoe", client.identity.user)

    def test_nothing_but_notes(self) -> None:
        """A message to it counts as not delivered."""
        browser = self.connect()
        browser.send(frame(TEXT, b"slow"))
        browser.hang_up()
        send, close = self.command(
            {"op": "send", "to": {"client": ID}, "message": "x"},
            {"op": "close", "to": {"client": ID}},
        )
        self.assertEqual((0, 0), (send["delivered"], close["delivered"]))


class FreedTests(ConnectionsTestCase):
    """A connection that has ended is freed at once, with its buffers.

    The garbage collector looks for circles among old objects as rarely as every few minutes.
    """

    asks_php = False

    def setUp(self) -> None:
        super().setUp()
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)

    def assert_freed(self, browser: InMemoryBrowser) -> None:
        gone = ref(self.connection())
        browser.hang_up(cleanly=False)
        browser.transport.protocol = None  # type: ignore[attr-defined]
        self.assertIsNone(gone())

    def test_over_tls(self) -> None:
        directory = Path(self.mktemp())
        directory.mkdir()
        certificate = make_certificate(directory)
        pem = certificate.path.read_bytes() + certificate.key_path.read_bytes()
        browser = InMemoryTlsBrowser(self.site, pem).shake_hands()
        self.connection().pauseProducing()
        self.connection().send_message(b"x" * 900, False)
        self.assert_freed(browser)

    def test_behind_a_proxy(self) -> None:
        browser = InMemoryBrowser(ProxyFactory(self.site, self.clock))
        browser.send(b"PROXY TCP4 203.0.113.9 192.0.2.80 4321 8080\r\n")
        self.assert_freed(browser.shake_hands())

    def test_http(self) -> None:
        """The HTTP request of the handshake is freed, too."""
        browser = self.connect()
        transport = ref(browser.transport)
        browser.hang_up()
        del browser
        self.assertIsNone(transport())

    def test_idle(self) -> None:
        self.limit(ping_interval=25, ping_timeout=10, message_timeout=10)
        self.assert_freed(self.connect())

    def test_slow_reader(self) -> None:
        browser = self.connect()
        self.connection().pauseProducing()
        self.connection().send_message(b"x" * 900, False)
        self.connection().when_writable(lambda: None)
        self.connection().close(1008, "")
        self.assert_freed(browser)

    def test_in_the_middle_of_a_message(self) -> None:
        self.limit(message_timeout=10, rate_limit=RateLimit(messages=10, patience=30))
        browser = self.connect()
        browser.send(frame(TEXT, b"x" * 900, fin=False) + frame(PING) * 30)
        self.assert_freed(browser)

    def test_last_event_under_way(self) -> None:
        """Many disconnects can wait for PHP."""
        browser = self.connect()
        browser.send(frame(TEXT, b"slow"))
        self.assert_freed(browser)


class ConnectNotesTests(ConnectionsTestCase):
    def test_by_the_connect_reply(self) -> None:
        """The browser disconnects while the connect event runs."""
        browser = self.come()
        browser.hang_up()
        self.reply({"op": "bind", "user": "zoe"}, {"op": "state", "state": "logged-in"})
        event = self.php.asked[-1].event
        self.assertEqual(
            ("disconnect", "zoe", "logged-in"),
            (event.type, event.identity.user, event.identity.state),
        )


class OtherProtocolConnection(FakeConnection):
    """A connection of some other protocol than WebSocket."""

    client: Client
    lifetime: Lifetime | None = None
    message_count = 0
    is_busy = False
    close_status = 1000, "over"

    def stop_reading(self) -> None:
        """Do nothing."""

    def close_if_idle(self, code: int, reason: str, cause: str) -> bool:
        self.close(code, reason)
        return True

    def abort(self) -> None:
        """Do nothing."""


class OtherProtocolTests(ConnectionsTestCase):
    def test_from_first_to_last(self) -> None:
        """The table, the commands and the drain treat it like a WebSocket connection."""
        peer = IPv4Address("TCP", "192.0.2.1", 5000)
        connection = self.table.add_pending(peer, handshake(), OtherProtocolConnection)
        self.assertEqual((ID, 0), (connection.client.id, len(self.registry)))
        self.table.open(connection)
        self.command({"op": "join", "to": {"client": ID}, "group": "room"}, *_EVERYBODY)
        self.assertEqual([(b"hi", False)] * 2, connection.sent)
        run_to_completion(Drain(self.table.connections, 10).close_next())
        self.assertEqual((1001, "the gateway stops"), connection.closed)
        self.table.close(connection)
        self.assert_found_by_nothing()
        self.table.remove(connection)
        self.assertEqual((True, 0), (connection.client.is_disconnected, len(self.table)))
