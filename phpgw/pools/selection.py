"""Makes the pools that the settings name."""

import os
from grp import getgrgid
from typing import Any

import attrs

from phpgw.pools.interface import Pools
from phpgw.process.script_user import find_script_user
from phpgw.settings import Settings
from phpgw.settings.option import InvalidOption
from phpgw.settings.pool_config import POSTGRES, PoolConfig


def make_pools(settings: Settings, reactor: Any) -> Pools:
    """Return the pools, which have not started.

    :raises InvalidOption: if what a pool needs is not installed.
    """
    if not settings.pool:
        return Pools()
    # A gateway without pools loads none of it.
    from phpgw.pools.manager import OwnPools

    pools = _with_groups(settings)
    for pool in pools:
        if pool.server.kind == POSTGRES:
            from phpgw.pools.postgres.service import PostgresPool

            # It is made in another process, and a mistake is found here.
            PostgresPool(reactor, pool)
    return OwnPools(reactor, pools, settings.log_level)


def _with_groups(settings: Settings) -> tuple[PoolConfig, ...]:
    """Return the pools; with the group of the gateway's own PHP-FPM, if that has another user.

    :raises InvalidOption: if there is no such user.
    """
    pools = settings.pools()
    if os.geteuid() != 0 or settings.php_url is not None or settings.php_fpm is not None:
        return pools
    try:
        group = getgrgid(find_script_user(settings.php_user).pw_gid).gr_name
    except LookupError as error:
        raise InvalidOption("php-user", "a user of this system", str(error)) from None
    return tuple(
        pool if pool.group or pool.listen else attrs.evolve(pool, group=group) for pool in pools
    )


def no_pools(settings: Settings, reactor: Any) -> Pools:
    """Return none, for a process whose parent has the pools."""
    return Pools()
