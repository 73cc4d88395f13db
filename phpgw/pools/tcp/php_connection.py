"""A connection of PHP to a pool for any protocol."""

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from phpgw.log_limit import line_limit
from phpgw.pools.errors import PoolError
from phpgw.pools.front import PhpConnection
from phpgw.pools.pool import Pool
from phpgw.pools.splice import Splice
from phpgw.pools.tcp.warm_connection import WarmConnection

WarmPool = Pool[None, WarmConnection]
"""Connections to one server."""

# PHP may send so much before it has a connection.
_MAX_EARLY = 65536
# Seconds for the server to end its side after PHP has ended its own. PHP that is gone and PHP that
# only sends no more look the same.
_END_SECONDS = 30.0


@implementer(IHalfCloseableProtocol)
class TcpPhpConnection(PhpConnection):
    """A connection of PHP, which is joined with one to the server, byte by byte.

    That is closed with it. There is no protocol in which PHP could be told why there is none:
    its connection is aborted.
    """

    log = Logger(observer=line_limit)

    def __init__(self, reactor: Any, connections: WarmPool) -> None:
        self._reactor = reactor
        self._connections = connections
        self._early = bytearray()
        self._has_ended = False
        self._taking: Deferred[Any] | None = None
        self._server: WarmConnection | None = None
        self._splice: Splice | None = None
        self._ending: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """Take a connection. The server may be the one that speaks first."""
        super().connectionMade()
        self._taking = self._connections.take(None)
        self._taking.addCallbacks(self._taken, self._refused)
        self._taking.addErrback(self._failed)

    def dataReceived(self, data: bytes) -> None:
        """Pass it on, or keep it until there is a connection."""
        if self._splice is not None:
            self._splice.php_sent(data)
            return
        self._early += data
        if len(self._early) >= _MAX_EARLY:
            self.transport.pauseProducing()

    def readConnectionLost(self) -> None:
        """Tell the server that PHP sends no more."""
        if self._has_ended:
            return
        self._has_ended = True
        # PHP that has gone looks like PHP that only sends no more. Nothing is opened for it.
        if self._server is not None and self._server.end_writing():
            self._ending = self._reactor.callLater(_END_SECONDS, self.transport.abortConnection)
        else:
            self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Do nothing: it was closed for writing here."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Close the server's connection, once it has all that PHP has sent."""
        super().connectionLost(reason)
        if self._server is not None:
            self._end_splice()
            self._server.close()
        elif self._taking is not None:
            self._taking.cancel()
        if self._ending is not None and self._ending.active():
            self._ending.cancel()

    def stop(self) -> None:
        """See :class:`phpgw.pools.front.PhpConnection`."""
        self.transport.abortConnection()

    def server_sent(self, data: bytes) -> None:
        """See :class:`.WarmUser`."""
        if self._splice is not None:
            self._splice.server_sent(data)

    def server_ended(self) -> None:
        """See :class:`.WarmUser`."""
        self._end_splice()
        self.transport.loseConnection()

    def server_lost(self) -> None:
        """See :class:`.WarmUser`."""
        server, self._server = self._server, None
        assert server is not None
        self._connections.discard(server, "used")
        self._end_splice()
        self.transport.loseConnection()

    def _taken(self, server: WarmConnection) -> None:
        self._server = server
        self._splice = Splice(self.transport, server.transport)
        early, self._early = bytes(self._early), bytearray()
        self.transport.resumeProducing()
        server.transport.resumeProducing()
        sent = server.lend(self)
        if sent:
            self._splice.server_sent(sent)
        if early:
            self._splice.php_sent(early)

    def _refused(self, failure: Failure) -> None:
        failure.trap(PoolError, CancelledError)
        self.transport.abortConnection()

    def _failed(self, failure: Failure) -> None:
        self.log.failure("A connection of PHP could not be joined", failure)
        self.transport.abortConnection()

    def _end_splice(self) -> None:
        if self._splice is not None:
            self._splice.end()
            self._splice = None
