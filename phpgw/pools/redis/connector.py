"""Opens connections to a server of Redis or Valkey."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory

from phpgw.pools.errors import ServerUnavailable
from phpgw.pools.redis.login import RedisLogin, RedisLoginRefused
from phpgw.pools.redis.server_connection import RedisServerConnection
from phpgw.transport.connect_errors import explain


class RedisConnector:
    """A :class:`phpgw.pools.connector.Connector`.

    :param make_login: returns the login with the password as it is now.
    :param lost_idle: called with a connection that ends while it is idle.
    """

    def __init__(
        self,
        reactor: Any,
        endpoint: IStreamClientEndpoint,
        make_login: Callable[[], RedisLogin],
        lost_idle: Callable[[RedisServerConnection], object],
    ) -> None:
        self._endpoint = endpoint
        self._make_login = make_login
        self._factory = Factory.forProtocol(lambda: RedisServerConnection(reactor, lost_idle))
        self._factory.noisy = False

    def connect(self, key: None) -> Deferred[RedisServerConnection]:
        """See :meth:`phpgw.pools.connector.Connector.connect`."""
        return Deferred.fromCoroutine(self._connect())

    async def _connect(self) -> RedisServerConnection:
        try:
            login = self._make_login()
            connection: Any = await self._endpoint.connect(self._factory)
            await connection.log_in(login)
        except CancelledError:
            raise
        except RedisLoginRefused as error:
            raise ServerUnavailable(str(error)) from None
        except Exception as error:
            raise ServerUnavailable(explain(error)) from error
        return connection
