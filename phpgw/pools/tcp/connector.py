"""Opens connections to a server of any kind."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory

from phpgw.pools.errors import ServerUnavailable
from phpgw.pools.tcp.warm_connection import WarmConnection
from phpgw.transport.connect_errors import explain


class WarmConnector:
    """A :class:`phpgw.pools.connector.Connector`.

    :param lost: called with each connection that is closed.
    """

    def __init__(
        self,
        reactor: Any,
        endpoint: IStreamClientEndpoint,
        uses_tls: bool,
        lost: Callable[[WarmConnection], object],
    ) -> None:
        self._endpoint = endpoint
        self._factory = Factory.forProtocol(lambda: WarmConnection(reactor, uses_tls, lost))
        self._factory.noisy = False

    def connect(self, key: None) -> Deferred[WarmConnection]:
        """See :meth:`phpgw.pools.connector.Connector.connect`."""
        return Deferred.fromCoroutine(self._connect())

    async def _connect(self) -> WarmConnection:
        try:
            connection: Any = await self._endpoint.connect(self._factory)
        except CancelledError:
            raise
        except Exception as error:
            raise ServerUnavailable(explain(error)) from error
        try:
            await connection.ready
        except CancelledError:
            connection.close()
            raise
        except Exception as error:
            raise ServerUnavailable(explain(error)) from error
        opened: WarmConnection = connection
        return opened
