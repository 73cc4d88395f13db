"""Tests for :mod:`phpgw.pools.https.connector`; with TLS, see tests/system/test_https_pool.py."""

from typing import Any

from twisted.internet import error
from twisted.internet.defer import CancelledError
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.errors import ServerUnavailable
from phpgw.pools.https.connector import ApiConnector
from phpgw.transport.host_endpoint import HostEndpoint
from tests.support.api_pool import ApiTransport


class ConnectorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()

    def connector(self, *, uses_tls: bool = False) -> ApiConnector:
        endpoint = HostEndpoint(self.reactor, "127.0.0.1", 80)
        return ApiConnector(self.reactor, endpoint, lambda connection: None, uses_tls=uses_tls)

    def factory(self) -> Any:
        return self.reactor.tcpClients[0][2]

    def test_connect(self) -> None:
        connecting = self.connector().connect(None)
        protocol: Any = self.factory().buildProtocol(None)
        self.assertNoResult(connecting)
        protocol.makeConnection(ApiTransport())
        connection = self.successResultOf(connecting)
        self.assertTrue(connection.is_alive())
        connection.close()
        self.assertFalse(connection.is_alive())

    def test_handshake(self) -> None:
        """With TLS, the connection is there once that is agreed on."""
        connecting = self.connector(uses_tls=True).connect(None)
        protocol: Any = self.factory().buildProtocol(None)
        protocol.makeConnection(ApiTransport())
        self.assertNoResult(connecting)
        protocol.handshakeCompleted()
        self.successResultOf(connecting)

    def test_handshake_fails(self) -> None:
        connecting = self.connector(uses_tls=True).connect(None)
        protocol: Any = self.factory().buildProtocol(None)
        protocol.makeConnection(ApiTransport())
        protocol.connectionLost(Failure(error.ConnectionLost()))
        failure = self.failureResultOf(connecting, ServerUnavailable)
        self.assertIn("TLS", failure.getErrorMessage())

    def test_refused(self) -> None:
        connecting = self.connector().connect(None)
        self.factory().clientConnectionFailed(None, Failure(error.ConnectionRefusedError()))
        failure = self.failureResultOf(connecting, ServerUnavailable)
        self.assertIn("refused", failure.getErrorMessage())

    def test_cancelled(self) -> None:
        connecting = self.connector().connect(None)
        connecting.cancel()
        self.failureResultOf(connecting, CancelledError)

    def test_cancelled_within_the_handshake(self) -> None:
        connecting = self.connector(uses_tls=True).connect(None)
        protocol: Any = self.factory().buildProtocol(None)
        transport = ApiTransport()
        protocol.makeConnection(transport)
        connecting.cancel()
        self.failureResultOf(connecting, CancelledError)
        self.assertTrue(transport.is_aborted)
        protocol.connectionLost(Failure(error.ConnectionLost()))
