"""Makes the pools that the settings name."""

from typing import Any

from phpgw.pools.interface import Pools
from phpgw.settings import Settings
from phpgw.settings.pool_config import POSTGRES


def make_pools(settings: Settings, reactor: Any) -> Pools:
    """Return the pools, which have not started.

    :raises InvalidOption: if what a pool needs is not installed.
    """
    if not settings.pool:
        return Pools()
    # A gateway without pools loads none of it.
    from phpgw.pools.manager import OwnPools

    for pool in settings.pools():
        if pool.server.kind == POSTGRES:
            from phpgw.pools.postgres.service import PostgresPool

            # It is made in another process, and a mistake is found here.
            PostgresPool(reactor, pool)
    return OwnPools(reactor, settings.pools(), settings.log_level)


def no_pools(settings: Settings, reactor: Any) -> Pools:
    """Return none, for a process whose parent has the pools."""
    return Pools()
