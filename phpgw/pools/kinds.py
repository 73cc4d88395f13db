"""The kinds of pools: which code is for which server."""

from collections.abc import Callable, Mapping
from typing import Any

from phpgw.pools.service import PoolService
from phpgw.settings.option import InvalidOption
from phpgw.settings.pool_config import HTTP, MYSQL, POSTGRES, REDIS, TCP, PoolConfig
from phpgw.settings.pool_text import OPTION

PoolMaker = Callable[[Any, PoolConfig], PoolService]
"""Makes a pool, given the reactor."""


# Each maker imports its kind itself: a process loads the code of its own pools alone.
def _make_mysql_pool(reactor: Any, config: PoolConfig) -> PoolService:
    from phpgw.pools.mysql.service import MySqlPool

    return MySqlPool(reactor, config)


def _make_postgres_pool(reactor: Any, config: PoolConfig) -> PoolService:
    from phpgw.pools.postgres.service import PostgresPool

    return PostgresPool(reactor, config)


def _make_redis_pool(reactor: Any, config: PoolConfig) -> PoolService:
    from phpgw.pools.redis.service import RedisPool

    return RedisPool(reactor, config)


def _make_api_pool(reactor: Any, config: PoolConfig) -> PoolService:
    from phpgw.pools.https.service import ApiPool

    return ApiPool(reactor, config)


def _make_tcp_pool(reactor: Any, config: PoolConfig) -> PoolService:
    from phpgw.pools.tcp.service import TcpPool

    return TcpPool(reactor, config)


_MAKERS: Mapping[str, PoolMaker] = {
    HTTP: _make_api_pool,
    MYSQL: _make_mysql_pool,
    POSTGRES: _make_postgres_pool,
    REDIS: _make_redis_pool,
    TCP: _make_tcp_pool,
}


def make_pool(reactor: Any, config: PoolConfig) -> PoolService:
    """Return the pool, which has not started.

    :raises InvalidOption: if it cannot be made.
    """
    maker = _MAKERS.get(config.server.kind)
    if maker is None:
        known = ", ".join(_MAKERS)
        raise InvalidOption(OPTION, f"a server of these kinds: {known}", repr(str(config)))
    return maker(reactor, config)
