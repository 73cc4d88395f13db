"""Tests for :mod:`phpgw.websocket`."""

import zlib
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from phpgw.api.site import GatewaySite
from phpgw.client import Client, Message
from phpgw.handshake import WebSocketResource
from phpgw.metrics import Metrics
from phpgw.registry import Registry
from phpgw.websocket import GatewayFactory, WebSocketLimits
from tests.browser_end import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    BrowserEnd,
    frame,
    request,
)


class NotingRelay:
    """Notes what it is given."""

    def __init__(self) -> None:
        self.received: list[tuple[Client, Message]] = []
        self.forgotten: list[Client] = []

    def receive(self, client: Client, message: Message) -> None:
        self.received.append((client, message))

    def forget(self, client: Client) -> None:
        self.forgotten.append(client)

    def messages(self) -> list[bytes]:
        return [message.payload for _, message in self.received]


class EdgeTestCase(SynchronousTestCase):
    """A site that speaks WebSocket at /ws, in memory."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.metrics = Metrics()
        self.registry = Registry()
        self.relay = NotingRelay()
        self.limit()

    def limit(self, **changes: Any) -> None:
        """Set up anew with these limits."""
        limits: dict[str, Any] = {"max_message_size": 1000, "max_outbox": 1000}
        self.factory = GatewayFactory(
            reactor=self.clock,
            limits=WebSocketLimits(**{**limits, **changes}),
            registry=self.registry,
            relay=self.relay,  # type: ignore[arg-type]
            metrics=self.metrics,
        )
        root = Resource()
        root.putChild(b"ws", WebSocketResource(self.factory, self.metrics))
        self.site = GatewaySite(root, 1000, self.clock)

    def connect(self, peer: Any = None, **headers: str | None) -> BrowserEnd:
        return BrowserEnd(self.site, peer).shake_hands(**headers)

    def connection(self) -> Any:
        """The gateway's side of the only connection."""
        [connection] = self.factory.connections()
        return connection


class MessageTests(EdgeTestCase):
    def test_text_and_binary(self) -> None:
        browser = self.connect()
        browser.send(frame(TEXT, "héllo".encode()))
        browser.send(frame(BINARY, b"\x00\xff"))
        browser.send(frame(TEXT))
        self.assertEqual(
            [message for _, message in self.relay.received],
            [Message("héllo".encode()), Message(b"\x00\xff", True), Message(b"")],
        )

    def test_fragments_and_a_ping_between(self) -> None:
        browser = self.connect()
        browser.send(
            frame(TEXT, b"one ", fin=False)
            + frame(PING, b"?")
            + frame(CONTINUATION, b"two ", fin=False)
            + frame(CONTINUATION, b"three")
        )
        self.assertEqual(self.relay.messages(), [b"one two three"])
        self.assertEqual(browser.frames(), [(PONG, b"?")])

    def test_every_split(self) -> None:
        browser = self.connect()
        for byte in frame(TEXT, b"x" * 200):
            browser.send(bytes([byte]))
        self.assertEqual(self.relay.messages(), [b"x" * 200])

    def test_frames_in_the_handshakes_packet(self) -> None:
        """An impatient client's first message is not lost."""
        BrowserEnd(self.site).send(request() + frame(TEXT, b"early"))
        self.assertEqual(self.relay.messages(), [b"early"])

    def test_send(self) -> None:
        browser = self.connect()
        self.connection().send_message(b"text", False)
        self.connection().send_message(b"\xff" * 70000, True)
        self.assertEqual(browser.frames(), [(TEXT, b"text"), (BINARY, b"\xff" * 70000)])

    def test_same_payload_as_text_and_as_binary(self) -> None:
        browser, payload = self.connect(), b"the same"
        for is_binary in (False, True, True, False):
            self.connection().send_message(payload, is_binary)
        opcodes = [opcode for opcode, _ in browser.frames()]
        self.assertEqual(opcodes, [TEXT, BINARY, BINARY, TEXT])

    def test_replies_may_be_larger_than_messages(self) -> None:
        browser = self.connect()
        self.connection().send_message(b"x" * 5000, False)
        self.assertEqual(browser.frames(), [(TEXT, b"x" * 5000)])

    def test_largest_message(self) -> None:
        browser = self.connect()
        browser.send(frame(BINARY, b"x" * 1000))
        self.assertEqual(self.relay.messages(), [b"x" * 1000])
        browser.send(frame(BINARY, b"x" * 1001))
        self.assertEqual(browser.close_frame()[0], 1009)
        self.assertEqual(len(self.relay.received), 1)

    def test_far_too_large_a_message_is_not_waited_for(self) -> None:
        browser = self.connect()
        browser.send(frame(BINARY, b"x" * 100_000)[:20])
        self.assertEqual(browser.close_frame()[0], 1009)

    def test_too_large_in_fragments(self) -> None:
        browser = self.connect()
        browser.send(frame(TEXT, b"x" * 600, fin=False) + frame(CONTINUATION, b"x" * 600))
        self.assertEqual(browser.close_frame()[0], 1009)
        self.assertEqual(self.relay.received, [])

    def test_text_that_is_not_utf8(self) -> None:
        browser = self.connect()
        browser.send(frame(TEXT, b"\xff"))
        self.assertEqual(browser.close_frame()[0], 1007)
        self.assertEqual(self.relay.received, [])

    def test_protocol_errors(self) -> None:
        for name, bad in {
            "not masked": b"\x81\x01x",
            "reserved opcode": frame(3, b"x"),
            "reserved bit": frame(TEXT, b"x", rsv=2),
            "compressed without leave": frame(TEXT, b"x", rsv=4),
            "continuation of nothing": frame(CONTINUATION, b"x"),
            "fragmented ping": frame(PING, b"x", fin=False),
            "long ping": frame(PING, b"x" * 126),
            "bad close code": frame(CLOSE, b"\x03\xed"),
        }.items():
            browser = self.connect()
            browser.send(bad)
            self.assertEqual(browser.close_frame()[0], 1002, name)
            browser.hang_up()
        self.assertEqual(self.relay.received, [])


class CompressionTests(EdgeTestCase):
    OFFER = "permessage-deflate; client_max_window_bits"

    def setUp(self) -> None:
        super().setUp()
        self.limit(compression=True)

    def deflated(self, payload: bytes) -> bytes:
        deflate = zlib.compressobj(wbits=-15)
        return (deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]

    def test_not_without_the_option(self) -> None:
        self.limit()
        browser = self.connect(Sec_WebSocket_Extensions=self.OFFER)
        self.assertEqual(browser.status, 101)
        self.assertNotIn(b"permessage-deflate", browser.response)

    def test_not_without_the_offer(self) -> None:
        self.assertNotIn(b"permessage-deflate", self.connect().response)

    def test_both_ways(self) -> None:
        browser = self.connect(Sec_WebSocket_Extensions=self.OFFER)
        self.assertIn(b"permessage-deflate", browser.response)
        browser.send(frame(TEXT, self.deflated(b"hello " * 50), rsv=4))
        browser.send(frame(TEXT, b"plain"))
        self.assertEqual(self.relay.messages(), [b"hello " * 50, b"plain"])
        self.connection().send_message(b"answer " * 400, False)
        [(opcode, payload)] = browser.frames()
        self.assertEqual(opcode, 0x40 | TEXT)
        inflate = zlib.decompressobj(wbits=-15)
        self.assertEqual(inflate.decompress(payload + b"\x00\x00\xff\xff"), b"answer " * 400)

    def test_size_counts_after_inflation(self) -> None:
        """A message over the limit is never delivered, least of all cut short."""
        for size in (*range(1001, 1300), 5000, 10_000_000):
            browser = self.connect(Sec_WebSocket_Extensions=self.OFFER)
            browser.send(frame(BINARY, self.deflated(bytes(size)), rsv=4))
            self.assertEqual(browser.close_frame()[0], 1009, size)
            browser.hang_up()
        self.assertEqual(self.relay.received, [])

    def test_largest_message(self) -> None:
        browser = self.connect(Sec_WebSocket_Extensions=self.OFFER)
        browser.send(frame(BINARY, self.deflated(bytes(1000)), rsv=4))
        self.assertEqual(self.relay.messages(), [bytes(1000)])

    def test_corrupt(self) -> None:
        browser = self.connect(Sec_WebSocket_Extensions=self.OFFER)
        browser.send(frame(BINARY, b"\xff\xff\xff\xff", rsv=4))
        self.assertEqual(browser.close_frame()[0], 1007)


class IdentityTests(EdgeTestCase):
    def ids(self) -> list[str]:
        return [client.id for client in self.registry]

    def test_peer_address(self) -> None:
        self.connect(IPv4Address("TCP", "127.0.0.1", 51110))
        self.connect(IPv6Address("TCP", "::1", 51110))
        self.connect(IPv6Address("TCP", "::ffff:192.0.2.7", 1))
        self.assertEqual(self.ids(), ["127.0.0.1:51110", "[::1]:51110", "192.0.2.7:1"])

    def test_unix_peers_are_told_apart(self) -> None:
        self.connect(UNIXAddress(None))
        self.connect(UNIXAddress(None))
        self.assertEqual(self.ids(), ["unix:1", "unix:2"])

    def test_same_port_again(self) -> None:
        """A client that comes back from the same port is a new one, and reachable."""
        first = self.connect()
        first.hang_up(cleanly=False)
        self.assertEqual(self.ids(), [])
        second = self.connect()
        client = self.registry.find("192.0.2.1:5000")
        assert client is not None
        client.connection.send_message(b"for the new one", False)
        self.assertEqual(second.frames(), [(TEXT, b"for the new one")])
        self.assertEqual(first.frames(), [])

    def test_id_in_use(self) -> None:
        """The same address on a second port does not take the first one's messages."""
        first = self.connect()
        second = self.connect()
        self.assertEqual(second.status, 409)
        client = self.registry.find("192.0.2.1:5000")
        assert client is not None
        client.connection.send_message(b"x", False)
        self.assertEqual(first.frames(), [(TEXT, b"x")])

    def test_leaving(self) -> None:
        browser = self.connect()
        [client] = self.registry
        self.assertEqual(self.metrics.clients_now, 1)
        browser.hang_up(cleanly=False)
        self.assertEqual((self.ids(), self.relay.forgotten), ([], [client]))
        self.assertEqual(self.metrics.clients_now, 0)

    def test_log(self) -> None:
        """One line when a client comes, one with the essentials when it leaves."""
        with capturedLogs() as events:
            browser = self.connect()
            browser.send(frame(TEXT, b"a secret"))
            self.connection().send_message(b"another", False)
            self.clock.advance(3)
            browser.send(frame(CLOSE, b"\x03\xe9"))
            browser.hang_up()
        came, left = (e for e in events if e["log_namespace"].startswith("phpgw"))
        self.assertEqual(came["client_id"], "192.0.2.1:5000")
        keys = ("client_id", "seconds", "code", "messages_in", "messages_out")
        self.assertEqual([left[key] for key in keys], ["192.0.2.1:5000", 3, 1001, 1, 1])
        self.assertNotIn("secret", repr(events))


class ClosingTests(EdgeTestCase):
    def test_browser_closes(self) -> None:
        browser = self.connect()
        browser.send(frame(CLOSE, b"\x03\xe8bye"))
        self.assertEqual(browser.close_frame()[0], 1000)
        self.assertTrue(browser.is_cut)

    def test_gateway_closes(self) -> None:
        browser = self.connect()
        self.connection().close(1011, "x" * 122 + "é")
        self.assertEqual(browser.close_frame(), (1011, "x" * 122))
        self.assertFalse(browser.is_cut)
        browser.send(frame(CLOSE, b"\x03\xf3"))
        self.assertTrue(browser.is_cut)

    def test_nothing_after_the_close_frame(self) -> None:
        browser = self.connect()
        self.connection().close(1000, "")
        browser.send(frame(TEXT, b"late"))
        self.connection().send_message(b"late", False)
        self.assertEqual(self.relay.received, [])
        self.assertEqual([opcode for opcode, _ in browser.frames()], [CLOSE])

    def test_close_that_is_not_answered(self) -> None:
        browser = self.connect()
        self.connection().close(1000, "")
        self.clock.advance(4.9)
        self.assertFalse(browser.is_cut)
        self.clock.advance(0.1)
        self.assertTrue(browser.is_cut)

    def test_no_timer_is_left(self) -> None:
        self.limit(ping_interval=25, ping_timeout=10)
        browser = self.connect()
        self.connection().close(1000, "")
        browser.send(frame(CLOSE, b"\x03\xe8"))
        browser.hang_up()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class FlowTests(EdgeTestCase):
    def test_paused_connection_is_not_read(self) -> None:
        browser = self.connect()
        connection = self.connection()
        connection.pause_reading()
        self.assertFalse(browser.is_read_from)
        connection.resume_reading()
        self.assertTrue(browser.is_read_from)

    def test_pause_counts_for_what_is_read_already(self) -> None:
        browser = self.connect()
        connection = self.connection()
        receive = self.relay.receive

        def receive_and_pause(client: Client, message: Message) -> None:
            receive(client, message)
            connection.pause_reading()

        self.relay.receive = receive_and_pause  # type: ignore[method-assign]
        browser.send(b"".join(frame(TEXT, b"%d" % number) for number in range(3)))
        for count in (1, 2, 3):
            self.assertEqual(len(self.relay.received), count)
            connection.resume_reading()
        self.assertEqual(self.relay.messages(), [b"0", b"1", b"2"])

    def test_wanted_again_at_once(self) -> None:
        """PHP takes a message that fills the inbox while it is still being delivered."""
        browser = self.connect()
        connection = self.connection()
        receive = self.relay.receive

        def receive_and_go_on(client: Client, message: Message) -> None:
            connection.pause_reading()
            receive(client, message)
            connection.resume_reading()

        self.relay.receive = receive_and_go_on  # type: ignore[method-assign]
        browser.send(b"".join(frame(TEXT, b"%d" % number) for number in range(3)))
        self.assertEqual(self.relay.messages(), [b"0", b"1", b"2"])

    def test_slow_consumer(self) -> None:
        browser = self.connect()
        connection = self.connection()
        connection.pauseProducing()
        for _ in range(3):
            connection.send_message(b"x" * 600, False)
        self.assertEqual([opcode for opcode, _ in browser.frames()], [TEXT, TEXT, CLOSE])
        self.assertEqual(self.metrics.slow_consumers_closed, 1)

    def test_consumer_that_catches_up(self) -> None:
        browser = self.connect()
        connection = self.connection()
        for _ in range(5):
            connection.pauseProducing()
            connection.send_message(b"x" * 900, False)
            connection.resumeProducing()
        self.assertEqual([opcode for opcode, _ in browser.frames()], [TEXT] * 5)

    def test_ping(self) -> None:
        self.limit(ping_interval=25, ping_timeout=10)
        browser = self.connect()
        self.clock.advance(25)
        self.assertEqual(browser.frames(), [(PING, b"")])
        browser.send(frame(PONG))
        self.clock.pump([10, 15])
        self.assertEqual(browser.frames(), [(PING, b"")])
        self.clock.advance(10)
        self.assertTrue(browser.is_cut)

    def test_ping_timeout_longer_than_the_interval(self) -> None:
        """The next ping is the last moment for an answer."""
        self.limit(ping_interval=5, ping_timeout=10)
        browser = self.connect()
        self.clock.pump([5, 4.9])
        self.assertFalse(browser.is_cut)
        self.clock.pump([0.1])
        self.assertTrue(browser.is_cut)

    def test_no_ping_timeout_while_the_gateway_does_not_read(self) -> None:
        """The answer may lie in the buffers that wait for PHP."""
        self.limit(ping_interval=25, ping_timeout=10)
        browser = self.connect()
        self.connection().pause_reading()
        self.clock.pump([25, 10, 25, 10, 25, 10])
        self.assertFalse(browser.is_cut)
        self.connection().resume_reading()
        self.clock.pump([25, 10, 25, 10])
        self.assertTrue(browser.is_cut)
