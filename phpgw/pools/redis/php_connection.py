"""A connection of PHP to a pool of Redis or Valkey."""

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.escape import printable
from phpgw.log_limit import line_limit
from phpgw.pools.errors import PoolError, PoolFull
from phpgw.pools.front import PhpConnection
from phpgw.pools.pool import Pool
from phpgw.pools.redis.server_connection import RedisServerConnection
from phpgw.pools.redis.session import RedisSession
from phpgw.pools.splice import Splice

RedisConnections = Pool[None, RedisServerConnection]
"""Connections to one server, which all are the same to PHP."""

# PHP may send so many bytes before it has a connection.
_MAX_EARLY = 65536
# What a server says that has no room.
_FULL = "ERR max number of clients reached"
# The first word of other errors. At ERR, phpredis throws no exception, and GET returns false: PHP
# would take that for a missing key.
_UNAVAILABLE = "UNAVAILABLE"


class RedisPhpConnection(PhpConnection):
    """A connection of PHP. With its first byte it takes a connection to the server.

    When PHP is gone, the server's connection is cleaned if that can be proven, and else closed.
    """

    log = Logger(observer=line_limit)

    def __init__(self, connections: RedisConnections) -> None:
        self._connections = connections
        self._early = bytearray()
        self._taking: Deferred[Any] | None = None
        self._server: RedisServerConnection | None = None
        self._splice: Splice | None = None
        self._session = RedisSession()

    def dataReceived(self, data: bytes) -> None:
        """Pass it on, or take a connection first."""
        if self._splice is not None:
            self._splice.php_sent(data)
            return
        self._early += data
        if len(self._early) > _MAX_EARLY:
            self.transport.pauseProducing()
        if self._taking is None:
            self._taking = self._connections.take(None)
            self._taking.addCallbacks(self._taken, self._refused)
            self._taking.addErrback(self._failed)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Give the server's connection back."""
        super().connectionLost(reason)
        if self._server is not None:
            self._part(self._server)
        elif self._taking is not None:
            self._taking.cancel()

    def stop(self) -> None:
        """See :meth:`phpgw.pools.front.PhpConnection.stop`."""
        if self._server is None:
            self._end_with(f"{_UNAVAILABLE} the gateway stops")
        else:
            # There may be half a reply before it.
            self.transport.loseConnection()

    def server_sent(self, data: bytes) -> None:
        """Pass on what the server has sent."""
        if self._splice is not None:
            self._splice.server_sent(data)

    def server_closed(self, reason: Failure) -> None:
        """Close the connection of PHP, too."""
        server, self._server = self._server, None
        assert server is not None
        self._end_splice()
        self._connections.discard(server, "lost")
        self.transport.loseConnection()

    def _taken(self, server: RedisServerConnection) -> None:
        self._server = server
        self._splice = Splice(self.transport, server.transport, self._session)
        server.lend(self)
        # It is paused if PHP has sent much.
        self.transport.resumeProducing()
        early, self._early = bytes(self._early), bytearray()
        self._splice.php_sent(early)

    def _refused(self, failure: Failure) -> None:
        failure.trap(PoolError, CancelledError)
        if failure.check(PoolFull):
            self._end_with(_FULL)
        elif failure.check(PoolError):
            reason = f"the server of this pool cannot be used: {failure.value}"
            self._end_with(f"{_UNAVAILABLE} {reason}")

    def _failed(self, failure: Failure) -> None:
        self.log.failure("A connection of PHP could not be joined", failure)
        self.transport.abortConnection()

    def _part(self, server: RedisServerConnection) -> None:
        """Clean the server's connection, or close it."""
        self._server = None
        self._end_splice()
        if server.cleaning is None or not self._session.can_be_cleaned(server.cleaning):
            self._connections.discard(server, "used" if server.cleaning is None else "unclean")
            return

        def decide(is_clean: bool) -> None:
            if is_clean:
                self._connections.give_back(server)
            else:
                self._connections.discard(server)

        server.clean().addCallback(decide)

    def _end_splice(self) -> None:
        if self._splice is not None:
            self._splice.end()
            self._splice = None

    def _end_with(self, text: str) -> None:
        """Close the connection with an error."""
        self.transport.write(b"-%b\r\n" % printable(text).encode("ascii", "replace"))
        self.transport.loseConnection()
