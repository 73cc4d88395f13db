"""Tests for :mod:`phpgw.websocket.batch_writer`."""

from functools import partial
from pathlib import Path
from socket import socket

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from phpgw.websocket.batch_writer import BatchWriter
from tests.support.certificate import make_certificate
from tests.support.fakes import handshake
from tests.support.in_memory_browser import BINARY, CLOSE, PING, TEXT, InMemoryTlsBrowser, frame
from tests.support.websocket_site import WebSocketSiteTestCase

# What a transport takes before it has its producer pause.
_BUFFER = 2**16


class NotingConnection(StringTransport):
    """A connection that is its own transport, and notes each write.

    :ivar writes: what was written.
    """

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.transport: NotingConnection | None = self
        self.idle_socket: socket | None = None

    def write(self, data: bytes) -> None:
        self.writes.append(data)


class GatheringTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.batch_writer = BatchWriter(self.clock)
        self.one, self.two = NotingConnection(), NotingConnection()

    def end_turn(self) -> None:
        self.clock.advance(0)

    def test_together(self) -> None:
        """After the turn of the reactor, in one write per transport."""
        for transport, data in (
            *((self.one, b"a"), (self.two, b"b"), (self.one, b"c"), (self.one, b"d")),
        ):
            self.batch_writer.add(transport, data)
        self.assertEqual(self.one.writes + self.two.writes, [])
        self.end_turn()
        self.assertEqual((self.one.writes, self.two.writes), ([b"acd"], [b"b"]))

    def test_many_peers(self) -> None:
        """The number of batches is limited; the order is kept."""
        transports = [NotingConnection() for _ in range(5000)]
        for data in (b"a", b"b"):
            for transport in transports:
                self.batch_writer.add(transport, data)
        late = sum(len(transport.writes) < 2 for transport in transports)
        self.assertEqual(late, 256)
        self.end_turn()
        self.assertEqual({b"".join(transport.writes) for transport in transports}, {b"ab"})

    def test_ended(self) -> None:
        """The batch of a connection that has ended is dropped."""
        for each in (self.one, self.two):
            self.batch_writer.add(each, b"a")
        self.one.transport = None
        self.end_turn()
        self.assertEqual(([], [b"a"]), (self.one.writes, self.two.writes))

    def test_turn_after_turn(self) -> None:
        for data in (b"a", b"b"):
            self.batch_writer.add(self.one, data)
            self.end_turn()
        self.assertEqual(self.one.writes, [b"a", b"b"])

    def test_calls(self) -> None:
        """One timer for a turn with batches, none for others."""
        self.batch_writer.write(self.one, b"at once")
        self.batch_writer.add(self.one, b"x" * _BUFFER)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        for transport in (self.one, self.two, self.one):
            self.batch_writer.add(transport, b"x")
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.end_turn()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_overtaking(self) -> None:
        """A write at once includes the batch before it."""
        self.batch_writer.add(self.one, b"a")
        self.batch_writer.add(self.two, b"x")
        self.batch_writer.write(self.one, b"b")
        self.batch_writer.add(self.one, b"c")
        self.assertEqual((self.one.writes, self.two.writes), ([b"ab"], []))
        self.end_turn()
        self.assertEqual((self.one.writes, self.two.writes), ([b"ab", b"c"], [b"x"]))

    def test_nothing_is_left(self) -> None:
        """There are no empty writes."""
        self.batch_writer.add(self.one, b"a")
        self.batch_writer.write(self.one, b"b")
        self.end_turn()
        self.assertEqual(self.one.writes, [b"ab"])

    def test_long(self) -> None:
        self.batch_writer.add(self.one, b"a")
        self.batch_writer.add(self.one, b"b" * _BUFFER)
        self.assertEqual(self.one.writes, [b"a" + b"b" * _BUFFER])

    def test_bounded(self) -> None:
        """A batch is never larger than a transport's buffer."""
        for size in (1, 100, 1000, 2000, 3000):
            given_size = 0
            for _ in range(200):
                self.batch_writer.add(self.one, b"x" * size)
                given_size += size
                waiting = given_size - sum(map(len, self.one.writes))
                self.assertLessEqual(waiting, _BUFFER)
            self.end_turn()
            self.assertEqual(given_size, sum(map(len, self.one.writes)))
            self.one.writes.clear()

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["add", "write", "turn"]),
                st.integers(0, 1),
                st.sampled_from([1, 10, 1500, 5000]),
            )
        )
    )
    def test_order(self, steps: list[tuple[str, int, int]]) -> None:
        """Each peer gets all its frames in order."""
        batch_writer, transports = BatchWriter(self.clock), (NotingConnection(), NotingConnection())
        expected = [b"", b""]
        for number, (step, peer, size) in enumerate(steps):
            data = number.to_bytes(2, "big") * size
            if step == "turn":
                self.end_turn()
                self.assertEqual([b"".join(each.writes) for each in transports], expected)
                continue
            expected[peer] += data
            if step == "add":
                batch_writer.add(transports[peer], data)
            else:
                batch_writer.write(transports[peer], data)
                self.assertEqual(b"".join(transports[peer].writes), expected[peer])
        self.end_turn()
        self.assertEqual([b"".join(each.writes) for each in transports], expected)


class MessageTests(WebSocketSiteTestCase):
    """Gathered messages, and everything else that is sent to a browser."""

    def gather(self, *messages: bytes) -> None:
        """Messages for the only client."""
        for message in messages:
            self.connection().gather_message(message, False)

    def end_turn(self) -> None:
        self.clock.advance(0)

    def test_sent(self) -> None:
        browser = self.connect()
        self.gather(b"one", b"two")
        self.connection().gather_message(b"\xff", True)
        self.assertEqual(browser.frames(), [])
        self.end_turn()
        self.assertEqual(browser.frames(), [(TEXT, b"one"), (TEXT, b"two"), (BINARY, b"\xff")])
        self.assertEqual((self.metrics.messages_sent, self.connection().message_count), (3, 3))

    def test_no_overtaking(self) -> None:
        browser = self.connect()
        self.gather(b"one")
        self.connection().send_message(b"two", False)
        self.gather(b"three")
        browser.send(frame(PING, b"?"))
        self.gather(b"four")
        self.connection().close(1000, "")
        expected = [b"one", b"two", b"three", b"?", b"four", b"\x03\xe8"]
        self.assertEqual([payload for _, payload in browser.frames()], expected)
        self.end_turn()
        self.assertEqual(browser.frames(), [])

    def test_peer_closes(self) -> None:
        """Gathered messages come before the response to its close frame."""
        browser = self.connect()
        self.gather(b"one")
        browser.send(frame(CLOSE))
        self.gather(b"too late")
        self.assertEqual([opcode for opcode, _ in browser.frames()], [TEXT, CLOSE])
        self.end_turn()
        self.assertEqual(browser.frames(), [])

    def test_all_are_closed(self) -> None:
        """As when the gateway stops."""
        browsers = [self.connect(IPv4Address("TCP", "192.0.2.1", port)) for port in (1, 2)]
        for connection in self.table.connections():
            connection.gather_message(b"one", False)
        for connection in self.table.connections():
            connection.close(1001, "")
        for browser in browsers:
            self.assertEqual([opcode for opcode, _ in browser.frames()], [TEXT, CLOSE])

    def test_gone(self) -> None:
        """The peer ends the connection before the batch is written; others are not affected."""
        gone = self.connect(IPv4Address("TCP", "192.0.2.1", 1))
        self.gather(b"for nobody")
        gone.hang_up(cleanly=False)
        here = self.connect(IPv4Address("TCP", "192.0.2.1", 2))
        self.gather(b"hello")
        self.end_turn()
        self.assertEqual(here.frames(), [(TEXT, b"hello")])

    def test_tls(self) -> None:
        directory = Path(self.mktemp())
        directory.mkdir()
        certificate = make_certificate(directory)
        pem = certificate.path.read_bytes() + certificate.key_path.read_bytes()
        browser = InMemoryTlsBrowser(self.site, pem).shake_hands()
        self.gather(b"one", b"two")
        self.end_turn()
        self.assertEqual(browser.frames(), [(TEXT, b"one"), (TEXT, b"two")])
        self.gather(b"for nobody")
        browser.hang_up()
        self.end_turn()
        self.assertEqual(self.relay.ends(), [(1006, "")])

    def test_before_the_handshake_is_answered(self) -> None:
        """A gathered message is kept until the connection opens."""
        peer = IPv4Address("TCP", "192.0.2.1", 1)
        make_connection = partial(self.factory.make_connection, peer)
        connection = self.table.add_pending(peer, handshake(), make_connection)
        connection.gather_message(b"x" * 2000, False)
        connection.gather_message(b"more than may wait", False)
        self.end_turn()
        self.assertEqual(self.metrics.slow_consumers_closed, 1)

    def test_full_outbox(self) -> None:
        """Gathered messages count for the limit, and the peer is closed at last."""
        browser = self.connect()
        self.connection().pauseProducing()
        self.gather(*[b"x" * 600] * 3)
        self.assertEqual([opcode for opcode, _ in browser.frames()], [TEXT, TEXT, CLOSE])
        self.assertEqual(self.metrics.slow_consumers_closed, 1)

    def test_slow_consumer(self) -> None:
        """A peer that reads nothing has little more unsent than without batches."""
        browser = self.connect()
        connection = self.connection()
        write, transport = browser.transport.write, browser.transport

        def write_and_complain(data: bytes) -> None:
            write(data)
            if len(transport.value()) > _BUFFER:
                connection.pauseProducing()

        transport.write = write_and_complain  # type: ignore[method-assign]
        self.gather(*[b"x" * 1000] * 200)
        self.assertLess(len(transport.value()), 2 * _BUFFER + self.factory.limits.max_outbox)
        self.assertEqual(browser.frames()[-1][0], CLOSE)
        self.assertEqual(self.metrics.slow_consumers_closed, 1)
