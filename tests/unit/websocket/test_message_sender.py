"""Tests for :mod:`phpgw.websocket.message_sender`."""

import errno
from collections.abc import Callable
from functools import partial
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import tcp
from twisted.internet.address import IPv4Address

from phpgw.websocket.protocol import GatewayProtocol
from tests.support.fakes import FakeConnection, handshake
from tests.support.in_memory_browser import PING, TEXT, frame
from tests.support.websocket_site import WebSocketSiteTestCase


class FakeSocket:
    """The socket of a peer.

    :ivar room: how many bytes it still takes.
    :ivar is_broken: whether sending fails.
    :ivar taken: the bytes that it has taken.
    """

    def __init__(self) -> None:
        self.room = 1_000_000
        self.is_broken = False
        self.taken = b""

    def fileno(self) -> int:
        return 0

    def setblocking(self, flag: bool) -> None:
        """Do nothing: it never blocks."""

    def send(self, data: bytes) -> int:
        if self.is_broken:
            raise BrokenPipeError(errno.EPIPE, "")
        if not self.room:
            raise BlockingIOError(errno.EAGAIN, "")
        sent = data[: self.room]
        self.taken += sent
        self.room -= len(sent)
        return len(sent)


class FakeReactor:
    """Watches nothing."""

    def __getattr__(self, name: str) -> Callable[[object], None]:
        return lambda *_: None


class SenderTestCase(WebSocketSiteTestCase):
    def open(self, port: int) -> tuple[GatewayProtocol, FakeSocket]:
        """Open a connection over a plain transport of Twisted's, with a fake socket."""
        peer, fake = IPv4Address("TCP", "192.0.2.1", port), FakeSocket()
        make_connection = partial(self.factory.make_connection, peer)
        connection = self.table.add_pending(peer, handshake(), make_connection)
        transport: Any = tcp.Connection(fake, connection, FakeReactor())  # type: ignore[arg-type]
        transport.connected = 1
        connection.makeConnection(transport)
        connection.open(b"", None)
        return connection, fake


def send_at_once(connection: Any, payload: bytes) -> None:
    """Send a message by the fast path."""
    connection.message_sender(payload, False)([connection])


def send_plainly(connection: Any, payload: bytes) -> None:
    """Send a message by the plain path."""
    connection.send_message(payload, False)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.sampled_from([0, 1, 125, 126, 700, 70_000])),
        st.tuples(st.sampled_from(["direct", "gather", "ping"]), st.just(5)),
        st.tuples(st.just("room"), st.sampled_from([0, 1, 100, 1_000_000])),
        st.tuples(st.sampled_from(["drain", "turn", "break", "close", "abort"]), st.just(0)),
    ),
    max_size=30,
)


class DifferentialTests(SenderTestCase):
    @given(STEPS)
    def test_same_as_plain(self, steps: list[tuple[str, int]]) -> None:
        """Whatever happens to a connection, its peer and the counters see no difference."""
        self.assertEqual(self.outcome(steps, send_at_once), self.outcome(steps, send_plainly))

    def outcome(
        self, steps: list[tuple[str, int]], send: Callable[[Any, bytes], None]
    ) -> tuple[object, ...]:
        """Return what comes of these steps."""
        self.setUp()
        connection, peer = self.open(1)
        transport: Any = connection.transport
        seen: list[object] = []
        for number, (step, size) in enumerate(steps):
            payload = b"%d" % (number % 10) * size
            match step:
                case "send":
                    send(connection, payload)
                case "direct":
                    connection.send_message(payload, False)
                case "gather":
                    connection.gather_message(payload, False)
                case "ping":
                    connection.dataReceived(frame(PING, payload))
                case "room":
                    peer.room = size
                case "drain":
                    transport.doWrite()
                case "turn":
                    self.clock.advance(0)
                case "break":
                    peer.is_broken = True
                case "close":
                    connection.close(1000, "")
                case "abort":
                    connection.abort()
            unsent = len(transport.dataBuffer) - transport.offset + transport._tempDataLen
            seen.append((peer.taken, unsent, connection.state, connection.message_count))
        return (*seen, self.metrics)


class SenderTests(SenderTestCase):
    def test_several(self) -> None:
        """All get it, those that the fast path does not serve, too."""
        (one, first), (two, second) = self.open(1), self.open(2)
        browser = self.connect()
        third: Any = self.registry.find("192.0.2.1:5000")
        other = FakeConnection()
        second.room = 3
        for payload in (b"a", b"b"):
            one.message_sender(payload, False)([one, other, third.connection, two])
        self.assertEqual(first.taken, b"\x81\x01a\x81\x01b")
        self.assertEqual(second.taken, b"\x81\x01a")
        second.room = 100
        transport: Any = two.transport
        transport.doWrite()
        self.assertEqual(second.taken, b"\x81\x01a\x81\x01b")
        self.assertEqual(browser.frames(), [(TEXT, b"a"), (TEXT, b"b")])
        self.assertEqual(other.sent, [(b"a", False), (b"b", False)])
        self.assertEqual(self.metrics.messages_sent, 6)

    def test_only_the_socket(self) -> None:
        """Nothing but the connection and its socket is used while the peer takes all."""
        connection, peer = self.open(1)
        send_at_once(connection, b"a")
        connection.transport.write = None
        connection.send_message = None  # type: ignore[method-assign,assignment]
        send_at_once(connection, b"b")
        self.assertEqual(peer.taken, b"\x81\x01a\x81\x01b")
        self.assertEqual(connection.message_count, 2)
        del connection.send_message

    def test_after_a_reply(self) -> None:
        """What is gathered goes first; after it, only the socket is used again."""
        connection, peer = self.open(1)
        connection.gather_message(b"a", True)
        self.assertIsNone(connection.idle_socket)
        send_at_once(connection, b"b")
        connection.gather_message(b"c", True)
        self.clock.advance(0)
        self.assertIsNotNone(connection.idle_socket)
        send_at_once(connection, b"d")
        self.assertEqual(peer.taken[2::3], b"abcd")

    def test_compressed(self) -> None:
        """Each gets the frame for its own window."""
        self.limit(compression=True)
        (one, first), (two, second) = self.open(1), self.open(2)
        two.window_bits = 9
        payload = b"abc" * 100
        one.message_sender(payload, True)([one, two])
        encode = self.factory.frame_encoder.encode
        self.assertEqual(first.taken, encode(payload, True))
        self.assertEqual(second.taken, encode(payload, True, 9))
        self.assertLess(len(second.taken), len(first.taken))

    def test_end(self) -> None:
        """A connection that has ended does not keep its socket."""
        connection, _ = self.open(1)
        self.assertIsNotNone(connection.idle_socket)
        connection.connectionLost()
        self.assertIsNone(connection.idle_socket)
        send_at_once(connection, b"too late")
