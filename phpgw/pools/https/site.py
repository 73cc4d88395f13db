"""The connections from PHP of one pool, and what their requests become."""

from typing import Any

from phpgw.deadlines import Deadlines
from phpgw.pools.https.admission import ApiAdmission
from phpgw.pools.https.exchange import ApiConnections, ApiExchange, ExchangeContext
from phpgw.pools.https.fields import AddedFields
from phpgw.pools.https.messages import ApiRequestHead
from phpgw.pools.https.php_side import PhpHttpConnection

# Seconds for PHP to send the head of a request, or to keep a connection without one.
_PHP_TIMEOUT = 60


class ApiSite:
    """The connections from PHP of one pool, and all that they share.

    :param name: the pool's.
    :param host: the server's, as in a URL: with its port if that is not the usual one.
    :param base: the path that all targets are below, without a slash at its end.
    :param timeout: seconds for which nothing may move in an exchange.
    :ivar is_stopping: whether connections are closed after the current response.
    """

    def __init__(
        self,
        reactor: Any,
        *,
        name: str,
        host: bytes,
        base: bytes,
        pool: ApiConnections,
        timeout: float,
        added: AddedFields,
    ) -> None:
        self.name = name
        self.is_stopping = False
        self._admission = ApiAdmission(host, base)
        self._connections: set[PhpHttpConnection] = set()
        self._waiting: Deadlines[PhpHttpConnection] = Deadlines(
            reactor, _PHP_TIMEOUT, PhpHttpConnection.expire
        )
        deadlines: Deadlines[ApiExchange] = Deadlines(reactor, timeout, ApiExchange.expire)
        self._context = ExchangeContext(pool, host, base, added, deadlines)

    def set_added(self, added: AddedFields) -> None:
        """Set the fields that requests get from now on."""
        self._context.added = added

    def stop(self) -> None:
        """Close idle connections now, and others after their response."""
        self.is_stopping = True
        # Each of them removes itself.
        for connection in [*self._connections]:
            connection.close_idle()

    def close(self) -> None:
        """Forget all, once all connections are closed."""
        self._waiting.close()
        self._context.deadlines.close()

    # phpgw.pools.https.php_side.PhpConnectionOwner

    def opened(self, connection: PhpHttpConnection) -> None:
        """Note a new connection, which has to send a request soon."""
        self._connections.add(connection)
        self._waiting.start(connection)

    def waits(self, connection: PhpHttpConnection) -> None:
        """Note that a connection waits for PHP."""
        self._waiting.start(connection)

    def closed(self, connection: PhpHttpConnection) -> None:
        """Forget a connection."""
        self._connections.discard(connection)
        self._waiting.stop(connection)

    def exchange(self, connection: PhpHttpConnection, head: ApiRequestHead) -> ApiExchange:
        """Return the exchange for a request; it has yet to begin.

        :raises ApiRefusal: if the request is not to be passed on.
        """
        self._waiting.stop(connection)
        target = self._admission.check(head, from_socket=connection.from_socket)
        return ApiExchange(self._context, connection, head, target)
