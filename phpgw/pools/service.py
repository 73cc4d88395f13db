"""A pool as a part of its process: what each kind of pool offers."""

import socket
from abc import ABC, abstractmethod
from typing import Any

from twisted.internet.defer import Deferred, DeferredList

from phpgw.pools.figures import PoolFigures
from phpgw.pools.front import Front
from phpgw.pools.pool import Pool


class PoolService(ABC):
    """A pool, from its start to its end."""

    @property
    @abstractmethod
    def figures(self) -> PoolFigures:
        """Return the figures of now."""

    @abstractmethod
    def start(self, listening: socket.socket) -> None:
        """Accept connections of PHP.

        :param listening: the pool's socket, from :func:`phpgw.pools.front.open_socket`.
        """

    @abstractmethod
    def reload(self) -> None:
        """Read passwords and certificates again, for connections that are opened from now on."""

    @abstractmethod
    def stop_within(self, seconds: float) -> Deferred[None]:
        """Accept no more connections of PHP, and let it finish with those that it has.

        :param seconds: after so long they are closed, with the error of the server's protocol.
        :returns: fires once all is closed.
        """


class LendingPool(PoolService):
    """A pool that lends its connections to those of PHP."""

    def __init__(self, pool: Pool[Any, Any], front: Front) -> None:
        self.pool = pool
        self.front = front

    @property
    def figures(self) -> PoolFigures:
        """See :class:`PoolService`."""
        return self.pool.figures

    def start(self, listening: socket.socket) -> None:
        """See :class:`PoolService`."""
        self.front.listen(listening)

    def reload(self) -> None:
        """See :class:`PoolService`."""
        self.pool.reload()

    def stop_within(self, seconds: float) -> Deferred[None]:
        """See :class:`PoolService`. Who waits for a connection gets an error at once."""
        stopped = self.pool.stop()
        closed = self.front.stop_within(seconds)
        return DeferredList([closed, stopped]).addCallback(lambda _: None)
