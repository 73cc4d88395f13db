"""Tests for :mod:`phpgw.pools.splice`, with real sockets and the real reactor."""

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.splice import Splice
from tests.unit.transport.test_write_now import End, SocketTestCase


class Joined(Protocol):
    """An end that hands all it gets to a splice."""

    transport: Any
    passes_on: Any = None

    def dataReceived(self, data: bytes) -> None:
        self.passes_on(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ended: bool = True


class SpliceTests(SocketTestCase):
    async def splice(self) -> tuple[Any, Splice, Any]:
        """Return PHP, the splice and the server; each is the far end of a connection."""
        php, near_php = await self.connect()
        server, near_server = await self.connect()
        splice = Splice(near_php.transport, near_server.transport)
        for near, passes_on in ((near_php, splice.php_sent), (near_server, splice.server_sent)):
            joined = Joined()
            joined.passes_on = passes_on
            joined.transport = near.transport
            near.transport.protocol = joined
        self.near_php, self.near_server = near_php.transport, near_server.transport
        self.addCleanup(self.near_php.loseConnection)
        self.addCleanup(self.near_server.loseConnection)
        return php, splice, server

    async def arrives(self, end: End, data: bytes) -> None:
        while len(end.received) < len(data):
            await deferLater(reactor, 0.001)
        self.assertEqual(data, end.received)

    async def test_both_ways(self) -> None:
        php, _, server = await self.splice()
        php.transport.write(b"question")
        await self.arrives(server, b"question")
        server.transport.write(b"answer")
        await self.arrives(php, b"answer")
        php.transport.loseConnection()
        server.transport.loseConnection()

    async def test_slow_reader(self) -> None:
        """A peer that does not read stops the other one; nothing is lost, and little is kept."""
        php, _, server = await self.splice()
        received: list[bytes] = []
        php.dataReceived = received.append
        php.transport.pauseProducing()
        sent = b"0123456789abcdef" * 1024 * 1024
        server.transport.write(sent)
        while self.near_server in reactor.getReaders():
            await deferLater(reactor, 0.001)
        await deferLater(reactor, 0.05)
        buffered = len(self.near_php.dataBuffer) + sum(map(len, self.near_php._tempDataBuffer))
        self.assertLess(buffered, 256 * 1024)
        php.transport.resumeProducing()
        while sum(map(len, received)) < len(sent):
            await deferLater(reactor, 0.001)
        self.assertEqual(sent, b"".join(received))
        php.transport.loseConnection()
        server.transport.loseConnection()

    async def test_one_is_lost(self) -> None:
        """The end of one connection does not end the other one, which its user decides about."""
        php, splice, server = await self.splice()
        php.transport.abortConnection()
        await php.ended
        while self.near_php.connected:
            await deferLater(reactor, 0.001)
        splice.end()
        server.transport.write(b"more")
        heard: Deferred[bytes] = Deferred()
        self.near_server.protocol.passes_on = heard.callback
        self.assertEqual(b"more", await heard)
        self.assertTrue(self.near_server.connected)
        server.transport.loseConnection()


class Notes:
    """An observer that ends the splice upon a word."""

    def __init__(self) -> None:
        self.splice: Splice
        self.noted: list[tuple[str, bytes]] = []

    def php_sent(self, data: bytes) -> None:
        self.noted.append(("php", data))
        if data == b"quit":
            self.splice.end()

    def server_sent(self, data: bytes) -> None:
        self.noted.append(("server", data))


class ObserverTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.php, self.server = StringTransport(), StringTransport()
        self.notes = Notes()
        self.splice = self.notes.splice = Splice(self.php, self.server, self.notes)

    def test_told(self) -> None:
        self.splice.php_sent(b"a")
        self.splice.server_sent(b"b")
        self.assertEqual([("php", b"a"), ("server", b"b")], self.notes.noted)
        self.assertEqual((b"b", b"a"), (self.php.value(), self.server.value()))

    def test_observer_ends_it(self) -> None:
        """What the observer ends the splice upon is not passed on, nor what follows."""
        for data in (b"a", b"quit", b"b"):
            self.splice.php_sent(data)
        self.splice.server_sent(b"c")
        self.assertEqual((b"", b"a"), (self.php.value(), self.server.value()))
        self.assertIsNone(self.php.producer)
        self.assertIsNone(self.server.producer)

    def test_reads_again(self) -> None:
        """A connection that was not read, since the other was slow, is read again at the end."""
        source: Any = self.php.producer
        source.pauseProducing()
        self.assertEqual("paused", self.server.producerState)
        source.stopProducing()
        self.assertFalse(self.server.disconnecting)
        self.splice.end()
        self.splice.end()
        self.assertEqual("producing", self.server.producerState)
