"""A pool of sessions at a server of MySQL or MariaDB."""

import socket
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.deadlines import Deadlines
from phpgw.log_limit import line_limit
from phpgw.pools.figures import CloseReason
from phpgw.pools.front import Front
from phpgw.pools.mysql.capabilities import Capability
from phpgw.pools.mysql.commands import CommandReader
from phpgw.pools.mysql.connector import MySqlConnector
from phpgw.pools.mysql.greeting import Greeting
from phpgw.pools.mysql.handshake_response import HandshakeResponse
from phpgw.pools.mysql.login_means import read_login_means
from phpgw.pools.mysql.php_connection import MySqlPhpConnection
from phpgw.pools.mysql.query_killer import QueryKiller
from phpgw.pools.mysql.server_connection import MySqlConnection
from phpgw.pools.mysql.session_key import SessionKey
from phpgw.pools.pool import Pool, PoolLimits
from phpgw.pools.server_endpoint import make_endpoint
from phpgw.pools.service import LendingPool
from phpgw.settings.pool_config import PoolConfig

# Seconds for PHP to log in: mysqlnd does it at once.
_LOGIN_SECONDS = 10.0
# Seconds for the server to carry out what PHP has sent without waiting for the answer.
_FINISHING_SECONDS = 10.0

# What the first session is opened with, before any PHP has come: as PDO asks for utf8mb4.
_PDO = (
    Capability.LONG_FLAG
    | Capability.TRANSACTIONS
    | Capability.MULTI_STATEMENTS
    | Capability.MULTI_RESULTS
)
_UTF8MB4 = 45


class MySqlPool(LendingPool):
    """The pool for ``mysql://`` and ``mysql+unix://``."""

    log = Logger(observer=line_limit)
    pool: Pool[SessionKey, MySqlConnection]

    def __init__(self, reactor: Any, config: PoolConfig) -> None:
        self._database = config.database.encode()
        self._first_key = SessionKey(self._database, _PDO, _UTF8MB4)
        self._connector = MySqlConnector(
            reactor,
            make_endpoint(reactor, config),
            lambda: read_login_means(config),
            lambda connection: self.pool.discard(connection, "lost"),
        )
        self._killer = QueryKiller(reactor, self._connector, self._first_key)
        self._logins = Deadlines[MySqlPhpConnection](
            reactor, _LOGIN_SECONDS, MySqlPhpConnection.expire
        )
        super().__init__(
            Pool(reactor, config.name, PoolLimits.from_config(config), self._connector),
            Front(reactor, lambda: MySqlPhpConnection(self, self._logins)),
        )

    def start(self, listening: socket.socket) -> None:
        """See :meth:`phpgw.pools.service.PoolService.start`."""
        super().start(listening)
        # The log says if it fails; the next PHP tries again.
        self.greeting().addErrback(lambda _: None)

    def stop_within(self, seconds: float) -> Deferred[None]:
        """See :meth:`phpgw.pools.service.PoolService.stop_within`."""
        return super().stop_within(seconds).addCallback(lambda _: self._logins.close())

    def greeting(self) -> Deferred[Greeting]:
        """Fire with the server's greeting, for which a first session is opened."""
        if self._connector.greeting is not None:
            return succeed(self._connector.greeting)

        def give_back(connection: MySqlConnection) -> Greeting:
            self.pool.give_back(connection)
            assert self._connector.greeting is not None
            return self._connector.greeting

        return self.pool.take(self._first_key).addCallback(give_back)

    def take(self, response: HandshakeResponse) -> Deferred[MySqlConnection]:
        """Take a session for a login of PHP."""
        return self.pool.take(SessionKey.from_login(response, self._database))

    def discard(self, server: MySqlConnection, reason: CloseReason) -> None:
        """Close a session."""
        self.pool.discard(server, reason)

    def end(self, server: MySqlConnection, commands: CommandReader, *, has_quit: bool) -> None:
        """Give a session back, or close it.

        Only an end that PHP has said is an end: whoever vanishes may leave half a command, or an
        answer on its way.
        """
        assert server.session is not None
        if not has_quit:
            if commands.awaits_answer and commands.is_between_commands:
                # The server would go on, for nobody.
                server.lend(_UNHEEDING)
                self._discard_after(self._killer.kill(server), server)
            else:
                self.pool.discard(server)
        elif commands.awaits_answer:
            # PHP did not wait for the answer. A KILL could undo what it wants done.
            self._discard_after(server.finish(_FINISHING_SECONDS), server)
        elif not commands.is_cleanable or not server.session.is_cleanable:
            self.pool.discard(server)
        else:
            server.clean().addCallbacks(
                lambda _: self.pool.give_back(server),
                lambda failure: self._not_clean(server, failure),
            )

    def _discard_after(self, done: Deferred[None], server: MySqlConnection) -> None:
        done.addBoth(lambda _: self.pool.discard(server))

    def _not_clean(self, server: MySqlConnection, failure: Failure) -> None:
        self.log.debug("A session is not used again: {reason}", reason=str(failure.value))
        self.pool.discard(server)


class _Unheeding:
    """A user that takes no notice of what happens."""

    def server_sent(self, data: bytes) -> None:
        """See :class:`.ServerListener`."""

    def server_closed(self, reason: Failure) -> None:
        """See :class:`.ServerListener`."""


_UNHEEDING = _Unheeding()
