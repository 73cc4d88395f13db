"""All pools of their process."""

import socket
from collections.abc import Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred, DeferredList

from phpgw.pools.kinds import make_pool
from phpgw.settings.pool_config import PoolConfig


class PoolSet:
    """The pools, by their names.

    :raises InvalidOption: if one cannot be made.
    """

    def __init__(self, reactor: Any, pools: Sequence[PoolConfig]) -> None:
        self._pools = {pool.name: make_pool(reactor, pool) for pool in pools}

    def start(self, sockets: Mapping[str, socket.socket]) -> None:
        """Accept connections of PHP.

        :param sockets: the listening sockets, by the names of their pools.
        """
        for name, pool in self._pools.items():
            pool.start(sockets[name])

    def reload(self) -> None:
        """Have passwords and certificates read again."""
        for pool in self._pools.values():
            pool.reload()

    def stop_within(self, seconds: float) -> Deferred[None]:
        """Let PHP finish with its connections for so long; fire once all is closed."""
        stopping = [pool.stop_within(seconds) for pool in self._pools.values()]
        return DeferredList(stopping).addCallback(lambda _: None)

    def figures(self) -> dict[str, Any]:
        """Return the figures of each pool, in JSON's own types."""
        return {name: pool.figures.as_json() for name, pool in self._pools.items()}
