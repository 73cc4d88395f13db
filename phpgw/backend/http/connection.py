"""Connections to a web server: persistent ones, why one ended, and a limit on a response's head."""

from typing import Any

import attrs
from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import (
    IHandshakeListener,
    IProtocol,
    ISSLTransport,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.client import HTTPConnectionPool
from zope.interface import implementer

from phpgw.backend.tls_errors import tls_reason

# Shorter than Nginx's default keepalive_timeout (75 s), so that the gateway closes first.
_IDLE_SECONDS = 60
# As over FastCGI. Twisted limits only the length of one line, to 16 KB.
_MAX_HEAD = 65536


class StaleConnection(ConnectionLost):
    """A connection that had been used before ended without a byte of a response.

    The server closed the idle connection while the request was on its way, and did not process it.
    """


class HeadTooLarge(ConnectionLost):
    """The head of a response is larger than the limit."""


class TlsFailed(ConnectionLost):
    """A connection ended before the TLS handshake was complete: nothing was sent over it."""


@implementer(IHandshakeListener)
class _MonitoredConnection(ProtocolWrapper):
    """Limits a response's head, and reports why a connection ended.

    :exc:`StaleConnection`, :exc:`TlsFailed` and :exc:`HeadTooLarge` are told apart from a response
    that was cut off.
    """

    _was_used = False
    _awaiting_first_byte = False
    _is_secured = False
    _in_head = False
    _head_size = 0
    _head_is_too_large = False

    def write(self, data: bytes) -> None:
        """Write a part of a request."""
        self._request_sent()
        super().write(data)

    def writeSequence(self, data: list[bytes]) -> None:
        """Write a part of a request."""
        self._request_sent()
        super().writeSequence(data)

    def handshakeCompleted(self) -> None:  # noqa: N802
        """Note that the TLS handshake is complete."""
        self._is_secured = True

    def dataReceived(self, data: bytes) -> None:
        """Hand data on, and close the connection if the head is larger than the limit."""
        self._was_used = True
        self._awaiting_first_byte = False
        super().dataReceived(data)
        if self._in_head:
            # All data before this read was head, also that of responses like 103.
            self._head_size += len(data)
            if self._head_size > _MAX_HEAD:
                self.loseConnection()

    def pauseProducing(self) -> None:
        """Stop reading; Twisted does that when a head has ended, before the body."""
        self._in_head = False
        transport: Any = self.transport
        transport.pauseProducing()

    def loseConnection(self) -> None:  # noqa: N802
        """Close it; during a response at once, without waiting for TLS's close_notify."""
        client: Any = self.wrappedProtocol
        if client is not None and client.state == "WAITING":
            # Twisted closes the connection if a line is too long, and does not say why.
            self._head_is_too_large = self._in_head
            self.abortConnection()
        else:
            super().loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Hand on a reason that says what happened."""
        if ISSLTransport.providedBy(self.transport) and not self._is_secured:
            reason = Failure(TlsFailed(_tls_failure(reason)))
        elif self._head_is_too_large:
            reason = Failure(HeadTooLarge())
        elif self._was_used and self._awaiting_first_byte:
            reason = Failure(StaleConnection(reason.getErrorMessage()))
        super().connectionLost(reason)

    def _request_sent(self) -> None:
        """Note that a request is being sent."""
        self._awaiting_first_byte = self._in_head = True
        self._head_size = 0


def _tls_failure(reason: Failure) -> str:
    if reason.check(SSL.Error, VerificationError):
        assert reason.value is not None
        return tls_reason(reason.value)
    return "the connection was closed"


class _MonitoredConnectionFactory(WrappingFactory):
    protocol = _MonitoredConnection
    noisy = False


@implementer(IStreamClientEndpoint)
@attrs.frozen
class MonitoredEndpoint:
    """Opens connections that are monitored."""

    _endpoint: IStreamClientEndpoint

    def connect(self, factory: Any) -> Deferred[IProtocol]:
        """See ``IStreamClientEndpoint.connect``."""
        factory.noisy = False
        connected: Deferred[Any] = self._endpoint.connect(_MonitoredConnectionFactory(factory))
        return connected.addCallback(lambda watching: watching.wrappedProtocol)

    def __repr__(self) -> str:
        return repr(self._endpoint)


class NoRetryPool(HTTPConnectionPool):
    """A connection pool that does not retry requests.

    Twisted retries idempotent methods alone; the backend decides by the reason of the failure.
    """

    retryAutomatically = False


class PersistentPool(NoRetryPool):
    """A connection pool with persistent connections."""

    cachedConnectionTimeout = _IDLE_SECONDS
