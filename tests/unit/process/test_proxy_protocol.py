"""Tests for :mod:`phpgw.process.proxy_protocol`, with headers in pieces of any size."""

from typing import Any

from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from phpgw.process.proxy_protocol import ProxyFactory
from tests.support.fakes import REMOTE
from tests.unit.process.test_proxy_header import HEADERS, INVALID


class Server(Protocol):
    """A protocol that keeps received bytes."""

    def __init__(self) -> None:
        self.received = b""

    def dataReceived(self, data: bytes) -> None:
        self.received += data


class ProtocolTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.factory = ProxyFactory(Factory.forProtocol(Server), self.clock)

    def connect(self) -> tuple[Any, StringTransport]:
        protocol: Any = self.factory.buildProtocol(REMOTE)
        transport = StringTransport(peerAddress=REMOTE)
        protocol.makeConnection(transport)
        return protocol, transport

    def test_byte_by_byte(self) -> None:
        for data, source in HEADERS:
            protocol, transport = self.connect()
            for byte in data + b"hello":
                protocol.dataReceived(bytes((byte,)))
            self.assertEqual(b"hello", protocol.wrappedProtocol.received, data)
            self.assertEqual(source or REMOTE, protocol.wrappedProtocol.transport.getPeer())
            self.assertFalse(transport.disconnecting)

    def test_invalid(self) -> None:
        """The connection is closed without a response; many of them cause one log line."""
        with capturedLogs() as events:
            for data in INVALID:
                protocol, transport = self.connect()
                for byte in data + b"hello":
                    protocol.dataReceived(bytes((byte,)))
                self.assertEqual(b"", protocol.wrappedProtocol.received, data)
                self.assertTrue(transport.disconnecting, data)
            self.clock.advance(60)
            self.connect()[0].dataReceived(b"x")
        self.assertEqual(
            [
                f"Closed {count} connections that did not begin with a header of the PROXY protocol"
                for count in (1, len(INVALID))
            ],
            [formatEvent(event) for event in events],
        )
