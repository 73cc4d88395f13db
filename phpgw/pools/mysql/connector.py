"""Opens connections to a server of MySQL or MariaDB."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory

from phpgw.pools.errors import ServerUnavailable
from phpgw.pools.mysql.greeting import GreetedWithError, Greeting
from phpgw.pools.mysql.login_means import LoginMeans
from phpgw.pools.mysql.packets import MalformedPacket
from phpgw.pools.mysql.responses import ErrAnswer
from phpgw.pools.mysql.server_connection import MySqlConnection
from phpgw.pools.mysql.server_login import LoginRefused, ServerLogin
from phpgw.pools.mysql.session_key import SessionKey
from phpgw.pools.mysql.short_result import QueryFailed
from phpgw.transport.connect_errors import explain

_REFUSALS = (GreetedWithError, LoginRefused, QueryFailed)


class ServerRefused(ServerUnavailable):
    """The server has answered that it does not want the connection.

    :ivar error: its answer.
    """

    def __init__(self, error: ErrAnswer) -> None:
        super().__init__(f"{error.message} ({error.code})")
        self.error = error


class MySqlConnector:
    """A :class:`phpgw.pools.connector.Connector`.

    :param read_means: returns what a login needs, as it is now. It may raise.
    :param lost_idle: called with a connection that ends while it is idle.
    :ivar greeting: the last one of the server; ``None`` before the first.
    """

    def __init__(
        self,
        reactor: Any,
        endpoint: IStreamClientEndpoint,
        read_means: Callable[[], LoginMeans],
        lost_idle: Callable[[MySqlConnection], object],
    ) -> None:
        self.greeting: Greeting | None = None
        self._endpoint = endpoint
        self._read_means = read_means
        self._factory = Factory.forProtocol(lambda: MySqlConnection(reactor, lost_idle))
        self._factory.noisy = False

    def connect(self, key: SessionKey) -> Deferred[MySqlConnection]:
        """See :meth:`phpgw.pools.connector.Connector.connect`.

        :returns: may fail with :exc:`ServerRefused`, too.
        """
        return Deferred.fromCoroutine(self._connect(key))

    async def _connect(self, key: SessionKey) -> MySqlConnection:
        try:
            means = self._read_means()
            connection: Any = await self._endpoint.connect(self._factory)
        except CancelledError:
            raise
        except Exception as error:
            raise ServerUnavailable(explain(error)) from error
        login = ServerLogin(
            means.account, key, uses_tls=means.tls is not None, is_private=means.is_private
        )
        try:
            await connection.log_in(login, means.tls)
        except BaseException as error:
            connection.close()
            raise _translated(error) from error
        self.greeting = login.greeting
        return connection


def _translated(error: BaseException) -> BaseException:
    """Return the error for who wants a connection."""
    if isinstance(error, _REFUSALS):
        return ServerRefused(error.error)
    if isinstance(error, MalformedPacket):
        return ServerUnavailable(f"it does not speak MySQL's protocol: {error}")
    if isinstance(error, CancelledError) or not isinstance(error, Exception):
        return error
    return ServerUnavailable(explain(error))
