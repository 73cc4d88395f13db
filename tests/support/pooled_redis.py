"""A Redis in memory at the other end of a pool's connections."""

from typing import Any

from hiredis import Reader
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.python.failure import Failure
from zope.interface import implementer


class PooledRedisTransport(StringTransportWithDisconnection):
    """The transport of one connection, which replies to what it knows.

    :ivar requests: all requests of it, as lists of words.
    :ivar is_silent: whether nothing is replied from now on.
    :ivar was_aborted: whether it was aborted.
    """

    def __init__(self, server: "PooledRedis") -> None:
        super().__init__()
        self.requests: list[list[bytes]] = []
        self.is_silent = server.is_silent
        self.was_aborted = False
        self._server = server
        self._reader = Reader()

    def write(self, data: bytes) -> None:
        super().write(data)
        self._reader.feed(data)
        replies = []
        while (words := self._reader.gets()) is not False:
            self.requests.append(words)
            replies.append(self._server.reply(words))
        if replies and not self.is_silent:
            self.send(b"".join(replies))

    def send(self, data: bytes) -> None:
        """Send bytes to the pool."""
        self.protocol.dataReceived(data)

    def drop(self) -> None:
        """Close the connection."""
        self.protocol.connectionLost(Failure(ConnectionDone()))

    def abortConnection(self) -> None:  # noqa: N802
        super().abortConnection()
        self.was_aborted = True


@implementer(IStreamClientEndpoint)
class PooledRedis:
    """A server that replies at once. It is also the endpoint that leads to it.

    :ivar replies: what is replied to requests by their first word; ``+OK`` to others.
    :ivar transports: those of all connections.
    :ivar error: why no connection can be made; ``None`` if one can.
    :ivar is_silent: whether new connections get no reply.
    """

    def __init__(self) -> None:
        self.replies = {b"RESET": b"+RESET\r\n", b"CLIENT": b"-ERR unknown subcommand\r\n"}
        self.transports: list[PooledRedisTransport] = []
        self.error: Exception | None = None
        self.is_silent = False

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:  # noqa: N803
        """See ``IStreamClientEndpoint``."""
        if self.error is not None:
            return fail(self.error)
        protocol: Any = protocolFactory.buildProtocol(None)  # type: ignore[arg-type]
        transport = PooledRedisTransport(self)
        transport.protocol = protocol
        self.transports.append(transport)
        protocol.makeConnection(transport)
        return succeed(protocol)

    def reply(self, words: list[bytes]) -> bytes:
        """Return the reply to a request."""
        if words[0] == b"ECHO" and b"ECHO" not in self.replies:
            return b"$%d\r\n%b\r\n" % (len(words[1]), words[1])
        return self.replies.get(words[0], b"+OK\r\n")
