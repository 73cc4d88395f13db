"""Tests for :mod:`phpgw.transport.write_now`, with real sockets and the real reactor."""

import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from phpgw.transport.write_now import has_unsent, send_last, write_now


class End(Protocol):
    """A protocol that keeps received bytes."""

    transport: Any

    def __init__(self) -> None:
        self.received = b""
        self.ended: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ended.callback(self.received)


class SocketTestCase(TestCase):
    timeout = 20

    async def connect(self) -> tuple[Any, End]:
        """Return the two ends of a connection."""
        ends: list[End] = []

        class Accepting(Factory):
            noisy = False

            def buildProtocol(self, addr: object) -> End:
                ends.append(End())
                return ends[-1]

        factory = Accepting()
        port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
        self.addCleanup(port.stopListening)
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
        client = await endpoint.connect(factory)
        while len(ends) < 2:
            tick: Deferred[None] = Deferred()
            reactor.callLater(0, tick.callback, None)
            await tick
        [server] = [end for end in ends if end is not client]
        return client, server


class EagerWriteTests(SocketTestCase):
    async def test_order_and_completeness(self) -> None:
        """Bytes keep their order, when the kernel takes only some, and with transport.write."""
        client, server = await self.connect()
        large = bytes(range(256)) * 40_000
        sent = []
        for part in (b"first", large, b"small", b"last"):
            write_now(client.transport, part)
            client.transport.write(part[:3])
            sent += [part, part[:3]]
        client.transport.loseConnection()
        self.assertEqual(await server.ended, b"".join(sent))
        await client.ended

    async def test_unsent(self) -> None:
        """It is known that the other end does not read."""
        client, server = await self.connect()
        write_now(client.transport, b"small")
        self.assertFalse(has_unsent(client.transport))
        write_now(client.transport, bytes(30_000_000))
        self.assertTrue(has_unsent(client.transport))
        client.transport.loseConnection()
        await server.ended
        self.assertFalse(has_unsent(client.transport))

    async def test_at_once(self) -> None:
        """The other end can read it before the reactor's next turn."""
        client, server = await self.connect()
        write_now(client.transport, b"now")
        self.assertEqual(server.transport.socket.recv(10), b"now")
        client.transport.loseConnection()
        await server.ended
        await client.ended

    async def test_after_the_end(self) -> None:
        client, server = await self.connect()
        client.transport.abortConnection()
        write_now(client.transport, b"too late")
        self.assertEqual(await server.ended, b"")
        write_now(client.transport, b"much too late")
        await client.ended

    async def test_last_bytes(self) -> None:
        """They arrive with the end of the connection, and not before."""
        client, server = await self.connect()
        self.assertEqual(4, send_last(client.transport.socket, b"last"))
        self.assertRaises(BlockingIOError, server.transport.socket.recv, 10)
        client.transport.loseConnection()
        self.assertEqual(await server.ended, b"last")
        await client.ended
        with socket.socket() as unconnected:
            self.assertEqual(0, send_last(unconnected, b"too early"))

    def test_other_transports(self) -> None:
        transport = StringTransport()
        write_now(transport, b"plain")
        self.assertEqual(transport.value(), b"plain")
