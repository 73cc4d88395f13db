"""Tests for :mod:`phpgw.pools.tcp`: pools for any protocol, in memory."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.tcp import service, warm_connection
from phpgw.pools.tcp.service import TcpPool
from phpgw.settings.pool_config import PoolConfig
from phpgw.settings.pool_text import parse_pool

_DONE = Failure(ConnectionDone())


class FakeTransport(StringTransport):
    """A transport that notes how it was closed."""

    aborted = False
    is_half_closed = False

    def abortConnection(self) -> None:  # noqa: N802
        self.aborted = True
        self.disconnecting = True

    def resumeProducing(self) -> None:
        if not self.disconnecting:
            super().resumeProducing()

    def loseWriteConnection(self) -> None:  # noqa: N802
        self.is_half_closed = True


class FakeEndpoint:
    """A server that accepts connections, unless it is down.

    :ivar connections: the protocols of all that were accepted.
    """

    def __init__(self) -> None:
        self.connections: list[Any] = []
        self.is_down = False
        self.attempts = 0

    def connect(self, factory: Any) -> Deferred[Any]:
        self.attempts += 1
        connecting: Deferred[Any] = Deferred()
        if self.is_down:
            connecting.errback(ConnectError())
            return connecting
        protocol = factory.buildProtocol(None)
        self.connections.append(protocol)
        protocol.makeConnection(FakeTransport())
        connecting.callback(protocol)
        return connecting


class TcpPoolTestCase(SynchronousTestCase):
    fields = "size=2&wait=3s&idle=60s"
    scheme = "tcp"

    def setUp(self) -> None:
        self.clock: Any = Clock()
        self.server = FakeEndpoint()
        self.patch(service, "make_endpoint", lambda reactor, config: self.server)
        self.patch(warm_connection, "is_open", lambda transport: not transport.disconnecting)
        config = parse_pool(f"lines={self.scheme}://h:1?{self.fields}")
        self.pool: Any = TcpPool(self.clock, config)
        self.patch(self.pool.front, "listen", lambda listening: None)

    def start(self) -> None:
        self.pool.start(None)

    def php(self) -> Any:
        """Return the protocol of a new connection of PHP."""
        php = self.pool.front.buildProtocol(None)
        php.makeConnection(FakeTransport())
        return php

    def lose(self, protocol: Any) -> None:
        protocol.connectionLost(_DONE)
        self.clock.advance(0)

    def sent(self, protocol: Any) -> bytes:
        """Return what was written to a protocol's peer."""
        value: bytes = protocol.transport.value()
        return value


class UseTests(TcpPoolTestCase):
    def test_joined(self) -> None:
        """What each sends the other gets; also what the server has sent before PHP came."""
        self.start()
        server = self.server.connections[-1]
        server.dataReceived(b"220 hello\r\n")
        php = self.php()
        php.dataReceived(b"QUIT\r\n")
        server.dataReceived(b"221 bye\r\n")
        self.assertEqual(b"220 hello\r\n221 bye\r\n", self.sent(php))
        self.assertEqual(b"QUIT\r\n", self.sent(server))

    def test_used_once(self) -> None:
        """A connection that PHP has had is closed, and another one opened."""
        self.start()
        php = self.php()
        server = self.server.connections[1]
        self.lose(php)
        self.assertTrue(server.transport.disconnecting)
        self.assertEqual(2, len(self.server.connections))
        self.lose(server)
        self.assertEqual(3, len(self.server.connections))
        self.assertEqual((1, 0), (self.pool.figures.closed["used"], self.pool.figures.in_use))

    def test_early_bytes_are_bounded(self) -> None:
        """A server that talks to nobody is not read without end, and read again for PHP."""
        self.start()
        server = self.server.connections[-1]
        for _ in range(70):
            server.dataReceived(b"x" * 1024)
            if server.transport.producerState == "paused":
                break
        self.assertEqual("paused", server.transport.producerState)
        php = self.php()
        self.assertEqual(65536, len(self.sent(php)))
        self.assertEqual("producing", server.transport.producerState)

    def test_php_sends_before_there_is_one(self) -> None:
        """What PHP has sent waits with it, up to a limit."""
        self.start()
        first, _ = self.php(), self.php()
        waiting = self.php()
        waiting.dataReceived(b"a")
        waiting.dataReceived(b"b" * 65536)
        self.assertEqual("paused", waiting.transport.producerState)
        self.lose(first)
        self.lose(self.server.connections[1])
        self.assertEqual("producing", waiting.transport.producerState)
        self.assertEqual(65537, len(self.sent(self.server.connections[2])))

    def test_full(self) -> None:
        """Who waits for too long is cut off."""
        self.start()
        for _ in range(2):
            self.php()
        waiting = self.php()
        self.clock.advance(3)
        self.assertTrue(waiting.transport.aborted)
        self.assertEqual(1, self.pool.figures.refused["full"])

    def test_php_goes_while_it_waits(self) -> None:
        self.start()
        first, _ = self.php(), self.php()
        self.lose(self.php())
        ends = self.php()
        ends.readConnectionLost()
        self.assertTrue(ends.transport.disconnecting)
        self.lose(ends)
        self.lose(first)
        self.lose(self.server.connections[1])
        self.assertEqual((1, 1), (self.pool.figures.in_use, self.pool.figures.idle))

    def test_server_closes(self) -> None:
        """PHP gets all that the server has sent, and then the end."""
        self.start()
        php = self.php()
        server = self.server.connections[1]
        server.dataReceived(b"bye")
        server.readConnectionLost()
        self.assertEqual(b"bye", self.sent(php))
        self.assertTrue(php.transport.disconnecting)
        self.lose(php)
        self.lose(server)
        self.assertEqual(1, self.pool.figures.closed["used"])

    def test_server_breaks_off(self) -> None:
        self.start()
        php = self.php()
        self.lose(self.server.connections[1])
        self.assertTrue(php.transport.disconnecting)
        self.lose(php)
        self.assertEqual((0, 2), (self.pool.figures.in_use, self.pool.figures.idle))

    def test_php_sends_no_more(self) -> None:
        """The server is told, and may answer; but not for ever."""
        self.start()
        php = self.php()
        server = self.server.connections[1]
        php.dataReceived(b"last")
        php.readConnectionLost()
        self.assertTrue(server.transport.is_half_closed)
        server.dataReceived(b"answer")
        self.assertEqual(b"answer", self.sent(php))
        self.clock.advance(30)
        self.assertTrue(php.transport.aborted)

    def test_server_that_does_not_read(self) -> None:
        """A connection that cannot be closed in order is aborted after a while."""
        self.start()
        php = self.php()
        server = self.server.connections[1]
        self.lose(php)
        self.assertFalse(server.transport.aborted)
        self.clock.advance(30)
        self.assertTrue(server.transport.aborted)

    def test_stop(self) -> None:
        """PHP may finish; what is ready is closed, and nothing is opened."""
        self.start()
        php = self.php()
        stopped = self.pool.stop_within(5)
        idle, server = self.server.connections
        self.assertTrue(idle.transport.disconnecting)
        self.lose(idle)
        self.assertNoResult(stopped)
        self.lose(php)
        self.lose(server)
        self.successResultOf(stopped)
        self.clock.advance(60)
        self.assertEqual(2, self.server.attempts)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_stop_takes_too_long(self) -> None:
        self.start()
        php = self.php()
        stopped = self.pool.stop_within(5)
        self.clock.advance(5)
        self.assertTrue(php.transport.aborted)
        self.lose(php)
        self.lose(self.server.connections[1])
        self.successResultOf(stopped)


class ReadyTests(TcpPoolTestCase):
    def test_ahead(self) -> None:
        """As many as may be are opened before PHP comes."""
        self.start()
        self.assertEqual((2, 2), (len(self.server.connections), self.pool.figures.idle))

    def test_lost(self) -> None:
        """One that the server closes is replaced; not at once if it was closed at once."""
        self.start()
        self.clock.advance(10)
        self.lose(self.server.connections[0])
        self.assertEqual(3, len(self.server.connections))
        for _ in range(100):
            self.lose(self.server.connections[-1])
        self.assertEqual(3, len(self.server.connections))
        for _ in range(60):
            self.clock.advance(1)
            self.lose(self.server.connections[-1])
        self.assertLess(len(self.server.connections), 20)

    def test_idle(self) -> None:
        """One that nobody needs is replaced before the server's own limit."""
        self.start()
        self.clock.advance(60)
        for each in self.server.connections[:2]:
            self.assertTrue(each.transport.disconnecting)
            self.lose(each)
        self.assertEqual(4, len(self.server.connections))
        self.assertEqual(2, self.pool.figures.idle)

    def test_down(self) -> None:
        """While the server is down it is asked now and then, by one connection."""
        self.server.is_down = True
        self.start()
        for _ in range(60):
            self.clock.advance(1)
        self.assertLess(self.server.attempts, 20)
        php = self.php()
        self.assertTrue(php.transport.aborted)
        self.server.is_down = False
        for _ in range(11):
            self.clock.advance(1)
        self.assertEqual(2, self.pool.figures.idle)
        self.assertEqual("", self.pool.figures.problem)

    def test_reload(self) -> None:
        self.start()
        self.clock.advance(5)
        self.pool.reload()
        self.clock.advance(0)
        self.assertEqual(4, len(self.server.connections))


class TlsPoolTests(TcpPoolTestCase):
    scheme = "tls"

    def test_handshake(self) -> None:
        """A connection is ready once the certificate is verified."""
        self.start()
        self.assertEqual((0, 2), (self.pool.figures.idle, self.pool.figures.opening))
        self.server.connections[0].handshakeCompleted()
        self.assertEqual((1, 1), (self.pool.figures.idle, self.pool.figures.opening))

    def test_refused(self) -> None:
        """One that is not is never used."""
        self.start()
        self.lose(self.server.connections[0])
        self.assertEqual((0, 0), (self.pool.figures.idle, self.pool.figures.opened))
        self.assertIn("closed", self.pool.figures.problem)

    def test_slow_handshake(self) -> None:
        self.start()
        self.clock.advance(3)
        self.assertTrue(all(each.transport.disconnecting for each in self.server.connections[:2]))
        self.assertEqual(0, self.pool.figures.opened)

    def test_no_halves(self) -> None:
        """With TLS, PHP that sends no more has gone."""
        self.start()
        for each in self.server.connections:
            each.handshakeCompleted()
        php = self.php()
        php.readConnectionLost()
        self.assertTrue(php.transport.disconnecting)
        self.assertFalse(self.server.connections[1].transport.is_half_closed)


class ConfigTests(SynchronousTestCase):
    def test_real_endpoint(self) -> None:
        """A pool is made from its settings alone."""
        for text in ("a=tcp://h:1", "a=tls://h:1", "a=tcp+unix:///s"):
            config: PoolConfig = parse_pool(text + "?wait=1")
            self.assertIsInstance(TcpPool(Clock(), config), TcpPool)
