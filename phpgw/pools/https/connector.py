"""Opens connections to the API."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python.failure import Failure

from phpgw.pools.errors import ServerUnavailable
from phpgw.pools.https.server_side import ApiConnection, ApiConnectionFactory


class ApiConnector:
    """Opens connections to one server.

    :param endpoint: leads to it. With TLS, it verifies the certificate.
    :param lost: called with a connection that ends while it is idle.
    :param uses_tls: whether TLS is spoken.
    """

    def __init__(
        self,
        reactor: Any,
        endpoint: IStreamClientEndpoint,
        lost: Callable[[ApiConnection], object],
        *,
        uses_tls: bool,
    ) -> None:
        self._reactor = reactor
        self._endpoint = endpoint
        self._lost = lost
        self._uses_tls = uses_tls

    def connect(self, key: None) -> Deferred[ApiConnection]:
        """Open a connection; see :class:`phpgw.pools.connector.Connector`."""
        return Deferred.fromCoroutine(self._connect())

    async def _connect(self) -> ApiConnection:
        connection = ApiConnection(self._reactor, self._lost, uses_tls=self._uses_tls)
        try:
            await self._endpoint.connect(ApiConnectionFactory(connection))
            await connection.ready
        except (CancelledError, ConnectingCancelledError):
            connection.close()
            raise CancelledError from None
        except Exception as error:
            connection.close()
            raise ServerUnavailable(Failure(error).getErrorMessage()) from error
        return connection
