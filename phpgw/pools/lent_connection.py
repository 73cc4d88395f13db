"""A connection to a server that is lent to one session of PHP after another."""

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from phpgw.transport.peek import is_quiet

# Seconds for what was written last to arrive, before a connection is aborted.
_CLOSING_SECONDS = 2.0


class ServerListener(Protocol):
    """Is told of what happens on a connection to the server."""

    def server_sent(self, data: bytes) -> None:
        """Take what the server has sent."""
        ...

    def server_closed(self, reason: Failure) -> None:
        """Note that the connection is closed."""
        ...


class LentConnection(TwistedProtocol):
    """A connection to the server. It is idle, or one listener has it.

    :param lost_idle: called with this connection when it ends while it is idle.
    :ivar opened_at: see :class:`phpgw.pools.connector.ServerConnection`.
    """

    transport: Any = None
    _listener: ServerListener | None = None

    def __init__(self, reactor: Any, lost_idle: Callable[[Any], object]) -> None:
        self.opened_at: float = reactor.seconds()
        self._reactor = reactor
        self._lost_idle = lost_idle
        self._is_closed = False
        self._abort: Any = None

    def connectionMade(self) -> None:
        """Send requests at once, and have the system notice a server that is gone."""
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
            self.transport.setTcpKeepAlive(True)

    def is_alive(self) -> bool:
        """See :class:`phpgw.pools.connector.ServerConnection`."""
        return not self._is_closed and is_quiet(self.transport)

    def lend(self, listener: ServerListener | None) -> None:
        """Have what happens told to a listener, or to nobody when it is idle."""
        self._listener = listener

    def close(self) -> None:
        """Send what waits to be sent, and close the connection."""
        self._listener = None
        if not self._is_closed:
            self._is_closed = True
            self._abort = self._reactor.callLater(_CLOSING_SECONDS, self.transport.abortConnection)
            self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        """Hand on what the server has sent; an idle connection is closed if it sends anything."""
        if self._listener is not None:
            self._listener.server_sent(data)
        elif not self._is_closed:
            self._lost_idle(self)
            self.close()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Report the end."""
        was_open, self._is_closed = not self._is_closed, True
        if self._abort is not None and self._abort.active():
            self._abort.cancel()
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.server_closed(reason)
        elif was_open:
            self._lost_idle(self)
