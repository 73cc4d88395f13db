"""Tests for :mod:`phpgw.web.pipelining`: connections that send much, or do not read."""

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.protocol import connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from phpgw.web.site import GatewaySite

GET = b"GET /%b HTTP/1.1\r\nHost: localhost\r\n\r\n"
# When a transport has its producer pause.
_FULL = 65536


class _Answers(Resource):
    """Responds at once, or when the test says so."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.slow: list[Request] = []

    def render(self, request: Request) -> bytes | int:
        if request.path.startswith(b"/slow"):
            self.slow.append(request)
            return NOT_DONE_YET
        if request.path.startswith(b"/long"):
            return b"x" * 10_000
        return request.path


class _Transport(StringTransport):
    """A transport whose peer reads when the test says so."""

    is_full = False

    def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: N802
        """Do nothing. Only TCP transports have this method."""

    def pauseProducing(self) -> None:
        # A real one takes it at any time.
        self.producerState = "paused"

    def write(self, data: bytes) -> None:
        super().write(data)
        if len(self.value()) > _FULL and not self.is_full and self.producer is not None:
            self.is_full = True
            self.producer.pauseProducing()

    def read(self) -> bytes:
        """Read all bytes that are there."""
        data = self.value()
        self.clear()
        if self.is_full:
            self.is_full = False
            assert self.producer is not None
            self.producer.resumeProducing()
        return data


class _Connection:
    """A connection to a site.

    :ivar channel: its end at the site.
    """

    def __init__(self, factory: Any) -> None:
        peer = IPv4Address("TCP", "192.0.2.1", 5000)
        self.transport = _Transport(peerAddress=peer)
        self.channel: Any = factory.buildProtocol(peer)
        self.channel.makeConnection(self.transport)

    @property
    def is_read_from(self) -> bool:
        return self.transport.producerState == "producing"

    def send(self, data: bytes) -> None:
        self.channel.dataReceived(data)

    def answered(self) -> int:
        """Return the number of responses that were not read yet."""
        return self.transport.value().count(b"HTTP/1.1 ")


class PaceTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock: Any = Clock()
        self.root = _Answers()
        self.site = GatewaySite(self.root, 100_000, self.clock)

    def connect(self, factory: Any = None) -> _Connection:
        return _Connection(factory or self.site)

    def turn(self) -> None:
        """Run the calls that are due, but not those that they schedule, like a reactor."""
        due = [call for call in self.clock.calls if call.getTime() <= self.clock.seconds()]
        for call in due:
            self.clock.calls.remove(call)
        for call in due:
            call.called = 1
            call.func(*call.args, **call.kw)


class TurnTests(PaceTestCase):
    def test_few_a_turn(self) -> None:
        """A few requests are handled in each turn, however many there are."""
        connection = self.connect()
        connection.send(GET % b"" * 1000)
        self.assertEqual(1, connection.answered())
        self.assertFalse(connection.is_read_from)
        self.turn()
        self.assertLessEqual(connection.answered(), 20)
        while self.site.pipeline_scheduler.is_busy:
            self.turn()
            connection.transport.read()
        self.assertTrue(connection.is_read_from)

    def test_others_first(self) -> None:
        """A connection with one request gets its response before those with many."""
        crowd = [self.connect() for _ in range(100)]
        for each in crowd:
            each.send(GET % b"" * 1000)
        self.turn()
        other = self.connect()
        before = sum(each.answered() for each in crowd)
        other.send(GET % b"")
        self.assertEqual(1, other.answered())
        self.assertLessEqual(before, 100 + 20)

    def test_in_turns(self) -> None:
        """Connections with many requests take turns."""
        crowd = [self.connect() for _ in range(10)]
        for each in crowd:
            each.send(GET % b"" * 100)
        for _ in range(5):
            self.turn()
            counts = [each.answered() for each in crowd]
            self.assertLessEqual(max(counts) - min(counts), 1)

    def test_a_slow_resource(self) -> None:
        """The time for responses counts too."""
        render = self.root.render

        def slowly(request: Request) -> bytes | int:
            self.clock.rightNow += 0.003
            return render(request)

        self.root.render = slowly  # type: ignore[method-assign]
        connection = self.connect()
        connection.send(GET % b"" * 100)
        before = connection.answered()
        self.turn()
        self.assertEqual(2, connection.answered() - before)

    def test_a_body_in_many_pieces(self) -> None:
        """A body of tiny chunks does not delay others, and is complete."""
        connection = self.connect()
        connection.send(
            b"POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"1\r\nx\r\n" * 20_000
            + b"0\r\n\r\n"
            + GET % b"next"
        )
        self.assertEqual(0, connection.answered())
        turns = 0
        while self.site.pipeline_scheduler.is_busy:
            turns += 1
            self.turn()
        self.assertEqual([b"/body", b"/next"], bodies(connection.transport.value()))

    def test_leaves_meanwhile(self) -> None:
        for end in (
            lambda connection: connection.channel.connectionLost(connectionDone),
            lambda connection: connection.channel.loseConnection(),
        ):
            connection = self.connect()
            connection.send(GET % b"" * 10)
            end(connection)
            self.turn()
            self.assertEqual(1, connection.answered())
            self.assertFalse(self.site.pipeline_scheduler.is_busy)

    def test_order(self) -> None:
        """Requests keep their order, also when one is incomplete."""
        names = [b"%d" % number for number in range(50)]
        data = b"".join(GET % name for name in names)
        connection = self.connect()
        connection.send(data[:-5])
        for _ in range(10):
            self.turn()
        self.assertTrue(connection.is_read_from)
        connection.send(data[-5:])
        self.assertEqual([b"/" + name for name in names], bodies(connection.transport.value()))


class NeverReadsTests(PaceTestCase):
    def test_answers_are_not_read(self) -> None:
        """Then nothing is read, and no waiting request is handled."""
        connection = self.connect()
        connection.send(GET % b"long" * 1000)
        for _ in range(100):
            self.turn()
        self.assertFalse(connection.is_read_from)
        self.assertFalse(self.site.pipeline_scheduler.is_busy)
        self.assertLess(len(connection.transport.value()), _FULL + 11_000)
        # TLS hands on what it has.
        connection.send(GET % b"long" * 10)
        self.turn()
        self.assertLess(len(connection.transport.value()), _FULL + 11_000)

    def test_reads_later(self) -> None:
        connection = self.connect()
        connection.send(GET % b"long" * 100)
        received = b""
        for _ in range(100):
            self.turn()
            received += connection.transport.read()
        self.assertEqual([b"x" * 10_000] * 100, bodies(received))
        self.assertTrue(connection.is_read_from)

    def test_one_at_a_time(self) -> None:
        """The same is true if the requests arrive one by one."""
        connection = self.connect()
        for _ in range(100):
            if connection.is_read_from:
                connection.send(GET % b"long")
        self.assertLess(len(connection.transport.value()), _FULL + 11_000)
        self.assertFalse(connection.is_read_from)
        connection.transport.read()
        self.assertTrue(connection.is_read_from)

    def test_for_ever(self) -> None:
        """The connection is dropped at last."""
        connection = self.connect()
        connection.send(GET % b"long" * 1000)
        for _ in range(100):
            self.turn()
        self.clock.advance(60)
        self.assertTrue(connection.transport.disconnecting)
        self.clock.advance(15)
        self.assertTrue(connection.transport.disconnected)

    def test_while_one_is_answered(self) -> None:
        """Reading stops, and no bytes are lost."""
        connection = self.connect()
        connection.send(GET % b"slow")
        self.assertTrue(connection.is_read_from)
        for number in range(100):
            connection.send(GET % b"%d" % number)
        self.assertFalse(connection.is_read_from)
        self.assertEqual(0, connection.answered())
        request = self.root.slow.pop()
        request.write(b"slow")
        request.finish()
        while self.site.pipeline_scheduler.is_busy:
            self.turn()
        self.assertEqual(101, connection.answered())
        self.assertTrue(connection.is_read_from)

    def test_full_while_one_is_answered(self) -> None:
        connection = self.connect()
        connection.send(GET % b"slow" + GET % b"next")
        request = self.root.slow.pop()
        request.write(b"x" * 100_000)
        self.assertFalse(connection.is_read_from)
        request.finish()
        self.turn()
        self.assertEqual(1, connection.answered())
        connection.transport.read()
        self.turn()
        self.assertEqual([b"/next"], bodies(connection.transport.value()))
        self.assertTrue(connection.is_read_from)

    def test_refused(self) -> None:
        """Bytes after a refused request are discarded."""
        for data in (b"X\r\n\r\n", GET % b"a" * 3 + b"X\r\n\r\n", b"a" * 20_000):
            connection = self.connect(_Passing(self.site))
            connection.send(data)
            for _ in range(5):
                self.turn()
            said = connection.transport.value()
            for _ in range(100):
                connection.send(GET % b"" * 100)
            self.turn()
            self.assertEqual(said, connection.transport.value())
            self.assertEqual(b"", connection.channel.wrappedProtocol.take_unread())
            self.assertFalse(connection.is_read_from)
            self.clock.advance(15)
            self.assertTrue(connection.transport.disconnected)


class _Passing(WrappingFactory):
    """A transport that still delivers bytes after the end, as TLS does."""

    protocol = ProtocolWrapper


def bodies(data: bytes) -> list[bytes]:
    found = []
    while data:
        head, _, rest = data.partition(b"\r\n\r\n")
        length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
        found.append(rest[:length])
        data = rest[length:]
    return found
