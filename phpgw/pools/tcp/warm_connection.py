"""A connection to a server that was opened before anybody needed it, and is used once."""

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol, IHandshakeListener
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from phpgw.transport.peek import is_open

# A server that speaks first may send so much before it is not read any more.
_MAX_EARLY = 65536
# Seconds for what was written last to reach the server, before the connection is aborted.
_FLUSH_SECONDS = 30.0


class WarmUser(Protocol):
    """The user of a connection: one connection of PHP."""

    def server_sent(self, data: bytes) -> None:
        """Take what the server has sent."""
        ...

    def server_ended(self) -> None:
        """Note that the server sends no more, but may still read."""
        ...

    def server_lost(self) -> None:
        """Note that the connection is closed."""
        ...


@implementer(IHandshakeListener, IHalfCloseableProtocol)
class WarmConnection(TwistedProtocol):
    """A connection to the server of a pool.

    :param uses_tls: whether it is ready only after a handshake.
    :param lost: called with this connection when it is closed.
    :ivar was_used: whether PHP has used it.
    :ivar ready: fires when it can be used; fails with the reason if it was closed before.
    """

    transport: Any

    def __init__(
        self, reactor: Any, uses_tls: bool, lost: Callable[["WarmConnection"], object]
    ) -> None:
        self.opened_at = reactor.seconds()
        self.was_used = False
        self.ready: Deferred[None] = Deferred()
        self._reactor = reactor
        self._uses_tls = uses_tls
        self._lost = lost
        self._early = bytearray()
        self._user: WarmUser | None = None
        self._has_ended = False
        self._has_closed = False
        self._closing: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """Be ready, unless there is a handshake."""
        if not self._uses_tls:
            self._be_ready()

    def handshakeCompleted(self) -> None:  # noqa: N802
        """Be ready: the server's certificate is verified."""
        self._be_ready()

    def is_alive(self) -> bool:
        """See :class:`.ServerConnection`. The server may have spoken already."""
        return not self._has_ended and is_open(self.transport)

    def close(self) -> None:
        """Close once the server has taken all that was written, but not much later."""
        if self._closing is None and not self._has_closed:
            self._closing = self._reactor.callLater(_FLUSH_SECONDS, self.transport.abortConnection)
            self.transport.loseConnection()

    def lend(self, user: WarmUser) -> bytes:
        """Have another one get what the server sends from now on; return what it has sent."""
        self.was_used = True
        self._user = user
        early = bytes(self._early)
        self._early.clear()
        return early

    def end_writing(self) -> bool:
        """Tell the server that PHP sends no more; it may go on.

        :returns: whether that can be told. With TLS, a connection has no halves.
        """
        if not self._uses_tls:
            self.transport.unregisterProducer()
            self.transport.loseWriteConnection()
        return not self._uses_tls

    def dataReceived(self, data: bytes) -> None:
        """Hand over what the server sends, or keep it for PHP."""
        if self._user is not None:
            self._user.server_sent(data)
            return
        self._early += data
        if len(self._early) >= _MAX_EARLY:
            self.transport.pauseProducing()

    def readConnectionLost(self) -> None:
        """Note that the server sends no more."""
        self._has_ended = True
        if self._user is None:
            self.close()
        else:
            self._user.server_ended()

    def writeConnectionLost(self) -> None:
        """Do nothing: it was closed for writing here."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Report the end."""
        self._has_ended = self._has_closed = True
        if self._closing is not None and self._closing.active():
            self._closing.cancel()
        if not self.ready.called:
            self.ready.errback(reason)
        user, self._user = self._user, None
        if user is not None:
            user.server_lost()
        self._lost(self)

    def _be_ready(self) -> None:
        self.opened_at = self._reactor.seconds()
        if not self.ready.called:
            self.ready.callback(None)
