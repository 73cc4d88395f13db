"""A pool of connections to Redis or Valkey."""

import socket
from typing import Any

from twisted.internet.defer import Deferred

from phpgw.pools.figures import PoolFigures
from phpgw.pools.front import Front
from phpgw.pools.pool import Pool, PoolLimits
from phpgw.pools.redis.connector import RedisConnector
from phpgw.pools.redis.login import RedisLogin
from phpgw.pools.redis.php_connection import RedisConnections, RedisPhpConnection
from phpgw.pools.server_endpoint import make_endpoint
from phpgw.pools.service import PoolService
from phpgw.settings.pool_config import PoolConfig
from phpgw.settings.pool_text import OPTION
from phpgw.settings.secret_file import read_secret


class RedisPool(PoolService):
    """The pool for ``redis://``, ``rediss://`` and ``redis+unix://``."""

    def __init__(self, reactor: Any, config: PoolConfig) -> None:
        connector = RedisConnector(
            reactor,
            make_endpoint(reactor, config),
            lambda: read_login(config),
            lambda connection: self._connections.discard(connection, "lost"),
        )
        self._connections: RedisConnections = Pool(
            reactor, config.name, PoolLimits.from_config(config), connector
        )
        self._front = Front(reactor, lambda: RedisPhpConnection(self._connections))

    @property
    def figures(self) -> PoolFigures:
        """See :attr:`phpgw.pools.service.PoolService.figures`."""
        return self._connections.figures

    def start(self, listening: socket.socket) -> None:
        """See :meth:`phpgw.pools.service.PoolService.start`."""
        self._front.listen(listening)

    def reload(self) -> None:
        """See :meth:`phpgw.pools.service.PoolService.reload`."""
        self._connections.reload()

    def stop_within(self, seconds: float) -> Deferred[None]:
        """See :meth:`phpgw.pools.service.PoolService.stop_within`."""
        return self._front.stop_within(seconds).addCallback(lambda _: self._connections.stop())


def read_login(config: PoolConfig) -> RedisLogin:
    """Return who logs in, with the password as it is in its file now.

    :raises InvalidOption: if the file cannot be read.
    """
    file = config.password_file
    user = config.user.encode()
    # A user of Redis may have no password, and has to log in with any.
    password = (b"" if user else None) if file is None else read_secret(OPTION, file)
    return RedisLogin(user=user, password=password, database=int(config.database or 0))
