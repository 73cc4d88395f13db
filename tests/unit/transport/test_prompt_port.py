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
