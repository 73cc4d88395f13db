"""The job of the pools' process: what it is told before all else."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from phpgw.settings.pool_config import PoolConfig
from phpgw.settings.pool_text import parse_pool

# What a pool may have from other options.
_FILLED_IN = ("wait", "socket", "group")


def make_job(pools: Sequence[PoolConfig], log_level: str) -> dict[str, Any]:
    """Return the fields of the message. No password is in it, but the files that have them.

    :param pools: as :meth:`phpgw.settings.pools.PoolSettings.pools` returns them.
    """
    return {
        "pools": [{name: getattr(pool, name) for name in ("text", *_FILLED_IN)} for pool in pools],
        "log_level": log_level,
    }


def pools_of(message: Mapping[str, Any]) -> list[PoolConfig]:
    """Return the pools in the message.

    :raises ValueError: if a file that one names is there no longer.
    """
    return [
        attrs.evolve(parse_pool(each["text"]), **{name: each[name] for name in _FILLED_IN})
        for each in message["pools"]
    ]
