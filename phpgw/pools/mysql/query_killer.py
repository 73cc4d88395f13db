"""Ends queries whose PHP is gone: servers notice that only when they have the answer."""

from collections import deque
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.log_limit import line_limit
from phpgw.pools.mysql.commands import QUERY, encode_command
from phpgw.pools.mysql.connector import MySqlConnector
from phpgw.pools.mysql.server_connection import MySqlConnection
from phpgw.pools.mysql.session_key import SessionKey

# Seconds for one of them, with its connection.
_TIMEOUT = 5.0
_MAX_WAITING = 1000


class _AnotherServer(Exception):
    """The name of the server leads to another one by now."""


class QueryKiller:
    """Kills queries over a connection of its own, which it opens when there is one to kill.

    :param key: the key of that connection.
    """

    log = Logger(observer=line_limit)

    def __init__(self, reactor: Any, connector: MySqlConnector, key: SessionKey) -> None:
        self._reactor = reactor
        self._connector = connector
        self._key = key
        self._waiting: deque[tuple[MySqlConnection, Deferred[None]]] = deque()
        self._is_busy = False

    def kill(self, killed: MySqlConnection) -> Deferred[None]:
        """Kill the query of a connection.

        :returns: fires when that is done, or cannot be done. The connection must stay open until
            then, so that its number is nobody else's.
        """
        done: Deferred[None] = Deferred()
        if len(self._waiting) >= _MAX_WAITING:
            done.callback(None)
            return done
        self._waiting.append((killed, done))
        if not self._is_busy:
            self._is_busy = True
            Deferred.fromCoroutine(self._work())
        return done

    async def _work(self) -> None:
        connection: MySqlConnection | None = None
        while self._waiting:
            killed, done = self._waiting.popleft()
            killing = Deferred.fromCoroutine(self._kill(connection, killed))
            try:
                connection = await killing.addTimeout(_TIMEOUT, self._reactor)
            except Exception as error:
                connection = None
                self.log.warn(
                    "A query whose PHP is gone could not be killed: {reason}",
                    reason=str(error) or type(error).__name__,
                )
                # It would be the same with the others, one after another.
                waiting, self._waiting = self._waiting, deque()
                for _, other in waiting:
                    other.callback(None)
            done.callback(None)
        self._is_busy = False
        if connection is not None:
            connection.close()

    async def _kill(
        self, connection: MySqlConnection | None, killed: MySqlConnection
    ) -> MySqlConnection:
        """Kill a query over this connection, or a new one, and return that."""
        if connection is not None and not (
            connection.is_alive() and connection.address == killed.address
        ):
            connection.close()
            connection = None
        if connection is None:
            connection = await self._connector.connect(self._key)
        if connection.address != killed.address:
            # There, the number is that of somebody else.
            connection.close()
            raise _AnotherServer("the server's name leads to another address now")
        answered = _Answered()
        connection.lend(answered)
        connection.transport.write(encode_command(QUERY, b"KILL QUERY %d" % killed.connection_id))
        try:
            await answered.done
        except BaseException:
            connection.close()
            raise
        connection.lend(None)
        return connection


class _Answered:
    """A user that waits for an answer, be it OK or an error: the query may have ended before.

    :ivar done: fires then.
    """

    def __init__(self) -> None:
        self.done: Deferred[None] = Deferred()

    def server_sent(self, data: bytes) -> None:
        """See :class:`.ServerListener`."""
        if not self.done.called:
            self.done.callback(None)

    def server_closed(self, reason: Failure) -> None:
        """See :class:`.ServerListener`."""
        if not self.done.called:
            self.done.errback(reason)
