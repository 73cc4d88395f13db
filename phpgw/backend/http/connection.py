"""Connections to a web server: which are used again, how one ended, and how much an answer's head
may be.
"""

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

from phpgw.backend.connect_errors import tls_reason

# Shorter than the keepalive_timeout that Nginx has by default (75 s), so that we close first.
_IDLE_SECONDS = 60
# As over FastCGI. Twisted limits a line alone, to 16 KB.
_MAX_HEAD = 65536


class StaleConnection(ConnectionLost):
    """A connection that had served before ended without a byte of an answer.

    The server had closed it, idle, while the request was on its way: nothing was done with it.
    """


class HeadTooLarge(ConnectionLost):
    """An answer's headers had no end."""


class NoTls(ConnectionLost):
    """A connection ended before TLS was agreed on: nothing was said over it."""


@implementer(IHandshakeListener)
class _Watching(ProtocolWrapper):
    """Limits an answer's head, and says why a connection ended.

    :exc:`StaleConnection` is told from an answer that broke off, and :exc:`NoTls` from both.
    """

    _has_served = False
    _awaiting_first_byte = False
    _is_secured = False
    _in_head = False
    _head_size = 0
    _head_is_too_large = False

    def write(self, data: bytes) -> None:
        self._begin()
        super().write(data)

    def writeSequence(self, data: list[bytes]) -> None:
        self._begin()
        super().writeSequence(data)

    def handshakeCompleted(self) -> None:  # noqa: N802
        """TLS is agreed on."""
        self._is_secured = True

    def dataReceived(self, data: bytes) -> None:
        self._has_served = True
        self._awaiting_first_byte = False
        super().dataReceived(data)
        if self._in_head:
            # All of it that came before this read was head, be it of answers like 103.
            self._head_size += len(data)
            if self._head_size > _MAX_HEAD:
                self.loseConnection()

    def pauseProducing(self) -> None:
        """Read no more for now; Twisted does that first where a head ends and a body begins."""
        self._in_head = False
        transport: Any = self.transport
        transport.pauseProducing()

    def loseConnection(self) -> None:  # noqa: N802
        """Close it; in the middle of an answer at once, without TLS's wait for a last word."""
        client: Any = self.wrappedProtocol
        if client is not None and client.state == "WAITING":
            # Twisted gives up on a line that is too long without a word.
            self._head_is_too_large = self._in_head
            self.abortConnection()
        else:
            super().loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if ISSLTransport.providedBy(self.transport) and not self._is_secured:
            reason = Failure(NoTls(_why_no_tls(reason)))
        elif self._head_is_too_large:
            reason = Failure(HeadTooLarge())
        elif self._has_served and self._awaiting_first_byte:
            reason = Failure(StaleConnection(reason.getErrorMessage()))
        super().connectionLost(reason)

    def _begin(self) -> None:
        """A request is sent."""
        self._awaiting_first_byte = self._in_head = True
        self._head_size = 0


def _why_no_tls(reason: Failure) -> str:
    if reason.check(SSL.Error, VerificationError):
        assert reason.value is not None
        return tls_reason(reason.value)
    return "the connection was closed"


class _WatchingFactory(WrappingFactory):
    protocol = _Watching
    noisy = False


@implementer(IStreamClientEndpoint)
@attrs.frozen
class WatchedEndpoint:
    """Makes connections that are watched."""

    _endpoint: IStreamClientEndpoint

    def connect(self, factory: Any) -> Deferred[IProtocol]:
        factory.noisy = False
        connected: Deferred[Any] = self._endpoint.connect(_WatchingFactory(factory))
        return connected.addCallback(lambda watching: watching.wrappedProtocol)

    def __repr__(self) -> str:
        return repr(self._endpoint)


class OneTryPool(HTTPConnectionPool):
    """Connections on which each request is tried once.

    Twisted's own second try is for methods like GET alone; ours needs to know more.
    """

    retryAutomatically = False


class ReusingPool(OneTryPool):
    """Connections that are used again."""

    cachedConnectionTimeout = _IDLE_SECONDS
