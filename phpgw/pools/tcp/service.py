"""A pool for any protocol: each connection is opened ahead of time, and used once."""

import socket
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from phpgw.pools.front import Front
from phpgw.pools.pool import Pool, PoolLimits
from phpgw.pools.server_endpoint import make_endpoint
from phpgw.pools.service import LendingPool
from phpgw.pools.tcp.connector import WarmConnector
from phpgw.pools.tcp.php_connection import TcpPhpConnection, WarmPool
from phpgw.pools.tcp.warm_connection import WarmConnection
from phpgw.process.restart_delay import RestartDelay
from phpgw.settings.pool_config import PoolConfig

# Seconds that a connection has to live, or else the next one is opened later.
_USEFUL_SECONDS = 2.0


class TcpPool(LendingPool):
    """The pool for ``tcp://``, ``tls://`` and ``tcp+unix://``.

    There are always as many connections as may be, ready or in use, while the server accepts them.
    """

    def __init__(self, reactor: Any, config: PoolConfig) -> None:
        endpoint = make_endpoint(reactor, config)
        connector = WarmConnector(reactor, endpoint, config.uses_tls, self._lost)
        self._connections: WarmPool = Pool(
            reactor, config.name, PoolLimits.from_config(config), connector
        )
        self._reactor = reactor
        self._delay = RestartDelay()
        self._call: IDelayedCall | None = None
        self._is_running = False
        self._is_down = False
        front = Front(reactor, lambda: TcpPhpConnection(reactor, self._connections))
        super().__init__(self._connections, front)

    def start(self, listening: socket.socket) -> None:
        """See :class:`.PoolService`."""
        super().start(listening)
        self._is_running = True
        self._fill()

    def reload(self) -> None:
        """See :class:`.PoolService`."""
        super().reload()
        self._fill_after(0)

    def stop_within(self, seconds: float) -> Deferred[None]:
        """See :class:`.PoolService`."""
        self._is_running = False
        self._cancel_call()
        return super().stop_within(seconds)

    def _fill(self) -> None:
        """Open connections until there are as many as may be, or the server accepts no more."""
        self._cancel_call()
        while self._is_running and self._call is None and self._connections.has_room:
            opening = self._connections.open_ahead(None)
            opening.addCallbacks(self._opened, self._failed)
            if self._is_down:
                # One is enough to find out.
                return

    def _opened(self, _: None) -> None:
        if self._is_down:
            self._is_down = False
            self._fill()

    def _failed(self, failure: Failure) -> None:
        """Try again later. PHP that comes meanwhile has one tried at once."""
        self._is_down = True
        if self._call is None:
            self._fill_after(self._delay.take())

    def _lost(self, connection: WarmConnection) -> None:
        """Open another one in place of one that is closed."""
        self._connections.discard(connection, "lost")
        if self._call is None:
            is_useful = (
                connection.was_used
                or self._reactor.seconds() - connection.opened_at >= _USEFUL_SECONDS
            )
            if is_useful:
                self._delay.reset()
            # A server may accept connections, and close them at once.
            self._fill_after(0 if is_useful else self._delay.take())

    def _fill_after(self, seconds: float) -> None:
        self._cancel_call()
        if self._is_running:
            self._call = self._reactor.callLater(seconds, self._fill)

    def _cancel_call(self) -> None:
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None
