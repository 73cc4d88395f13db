"""Tests for :mod:`phpgw.transport.prompt_port`, with real sockets and the real reactor."""

import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from phpgw.transport.prompt_port import PromptPort


class _Accepting(Factory):
    noisy = False
    protocol = Protocol

    def __init__(self) -> None:
        self.accepted: Deferred[Any] = Deferred()

    def buildProtocol(self, addr: object) -> Any:
        protocol = super().buildProtocol(addr)  # type: ignore[arg-type]
        reactor.callLater(0, self.accepted.callback, protocol)
        return protocol


class PromptServerTests(TestCase):
    timeout = 20

    async def accept(self, interface: str) -> Any:
        """Return the transport of a connection to a port that is bound to this address."""
        factory = _Accepting()
        port = PromptPort(0, factory, 50, interface, reactor)
        port.startListening()
        self.addCleanup(port.stopListening)
        client = socket.create_connection(("127.0.0.1", port.getHost().port))
        self.addCleanup(client.close)
        transport = (await factory.accepted).transport
        self.addCleanup(transport.abortConnection)
        return transport

    async def test_host(self) -> None:
        for interface in ("127.0.0.1", ""):
            transport = await self.accept(interface)
            host, number = transport.socket.getsockname()
            self.assertEqual((host, number), (transport.getHost().host, transport.getHost().port))
            self.assertEqual(number, transport.local_port)

    async def test_no_delay(self) -> None:
        """Frames are sent at once: the socket has it from its port."""
        transport = await self.accept("127.0.0.1")
        self.assertTrue(transport.getTcpNoDelay())
        transport.setTcpNoDelay(True)
        self.assertTrue(transport.getTcpNoDelay())
        transport.setTcpNoDelay(False)
        self.assertFalse(transport.getTcpNoDelay())


class _Unusable(Protocol):
    """Fails whenever it is called."""

    def connectionMade(self) -> None:
        raise ZeroDivisionError

    def connectionLost(self, reason: object = None) -> None:
        raise ZeroDivisionError


class _Noting(Protocol):
    """Notes that it was made, and closes the connection."""

    factory: "_Any"

    def connectionMade(self) -> None:
        self.factory.made += 1
        transport: Any = self.transport
        transport.abortConnection()


class _Any(Factory):
    noisy = False
    made = 0

    def __init__(self, protocol: type[Protocol]) -> None:
        self.protocol = protocol


class PromptPortTests(TestCase):
    timeout = 20

    def listen(self, factory: Factory) -> Any:
        port = PromptPort(0, factory, 200, "127.0.0.1", reactor)
        port.startListening()
        self.addCleanup(port.stopListening)
        return port

    def connect(self, port: Any) -> None:
        client = socket.create_connection(("127.0.0.1", port.getHost().port))
        self.addCleanup(client.close)

    async def test_exceptions(self) -> None:
        """They close connections, and the port takes the next ones."""
        port = self.listen(_Any(_Unusable))
        for _ in range(3):
            self.connect(port)
        port.doRead()
        port.doRead()
        self.assertTrue(port.connected)
        # One when it is made, and one when it is lost.
        self.assertEqual(6, len(self.flushLoggedErrors(ZeroDivisionError)))

    async def test_others_have_their_turn(self) -> None:
        """However many connections wait, a few are accepted in a turn."""
        factory = _Any(_Noting)
        port = self.listen(factory)
        most = 0
        for _ in range(3):
            for _ in range(50):
                self.connect(port)
            before = factory.made
            port.doRead()
            most = max(most, factory.made - before)
        self.assertLessEqual(most, 32)
