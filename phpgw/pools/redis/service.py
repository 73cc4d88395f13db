"""A pool of connections to Redis or Valkey."""

from typing import Any

from phpgw.pools.front import Front
from phpgw.pools.pool import Pool, PoolLimits
from phpgw.pools.redis.connector import RedisConnector
from phpgw.pools.redis.login import RedisLogin
from phpgw.pools.redis.php_connection import RedisConnections, RedisPhpConnection
from phpgw.pools.server_endpoint import make_endpoint
from phpgw.pools.service import LendingPool
from phpgw.settings.pool_config import PoolConfig
from phpgw.settings.pool_text import OPTION
from phpgw.settings.secret_file import read_secret


class RedisPool(LendingPool):
    """The pool for ``redis://``, ``rediss://`` and ``redis+unix://``."""

    pool: RedisConnections

    def __init__(self, reactor: Any, config: PoolConfig) -> None:
        connector = RedisConnector(
            reactor,
            make_endpoint(reactor, config),
            lambda: read_login(config),
            lambda connection: self.pool.discard(connection, "lost"),
        )
        super().__init__(
            Pool(reactor, config.name, PoolLimits.from_config(config), connector),
            Front(reactor, lambda: RedisPhpConnection(self.pool)),
        )


def read_login(config: PoolConfig) -> RedisLogin:
    """Return who logs in, with the password as it is in its file now.

    :raises InvalidOption: if the file cannot be read.
    """
    file = config.password_file
    user = config.user.encode()
    # A user of Redis may have no password, and has to log in with any.
    password = (b"" if user else None) if file is None else read_secret(OPTION, file)
    return RedisLogin(user=user, password=password, database=int(config.database or 0))
