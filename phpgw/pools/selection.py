"""Makes the pools that the settings name."""

from typing import Any

from phpgw.pools.interface import Pools
from phpgw.settings import Settings


def make_pools(settings: Settings, reactor: Any) -> Pools:
    """Return the pools, which have not started."""
    if not settings.pool:
        return Pools()
    # A gateway without pools loads none of it.
    from phpgw.pools.manager import OwnPools

    return OwnPools(reactor, settings.pools(), settings.log_level)


def no_pools(settings: Settings, reactor: Any) -> Pools:
    """Return none, for a process whose parent has the pools."""
    return Pools()
