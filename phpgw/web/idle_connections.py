"""A limit on HTTP connections that are idle, or have sent only a part of a request.

When the limit is exceeded, the connection that has waited for longest is dropped. A client that
opens many connections and never completes a request cannot block the others for long.
"""

from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, Request

from phpgw.log_limit import LogThrottle, line_limit
from phpgw.metrics import Metrics


class IdleConnections:
    """The connections that wait.

    :param limit: how many may.
    :ivar metrics: where it is counted what becomes of them.
    """

    log = Logger(observer=line_limit)

    def __init__(
        self, reactor: IReactorTime, limit: int = 1000, metrics: Metrics | None = None
    ) -> None:
        self._limit = limit
        self.metrics = metrics or Metrics()
        self._droppings = LogThrottle(reactor.seconds)
        # In the order in which they came to wait.
        self._waiting: dict[IdleTrackingChannel, None] = {}

    def enter(self, channel: "IdleTrackingChannel") -> None:
        """A connection waits from now on; it may have waited for something else before."""
        if channel in self._waiting:
            del self._waiting[channel]
            self._waiting[channel] = None
            return
        self._waiting[channel] = None
        self.metrics.http_connections_now += 1
        if len(self._waiting) > self._limit:
            oldest = next(iter(self._waiting))
            self.leave(oldest)
            oldest.drop()
            self.metrics.http_connections_dropped += 1
            if count := self._droppings.count():
                self.log.warn(
                    "Dropped {count} connections that had been silent for longest, to make room "
                    "(--max-http-connections)",
                    count=count,
                )

    def leave(self, channel: "IdleTrackingChannel") -> None:
        """A connection waits no more, if it did."""
        if channel in self._waiting:
            del self._waiting[channel]
            self.metrics.http_connections_now -= 1


class IdleTrackingChannel(HTTPChannel):
    """An HTTP connection that counts as idle whenever no request of it is being handled."""

    site: Any
    transport: Any

    def connectionMade(self) -> None:
        super().connectionMade()
        self.site.idle_connections.enter(self)

    def allContentReceived(self) -> None:  # noqa: N802
        self.site.idle_connections.leave(self)
        super().allContentReceived()

    def requestDone(self, request: Request) -> None:  # noqa: N802
        # First, since the next request may be there already.
        self.site.idle_connections.enter(self)
        super().requestDone(request)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.site.idle_connections.leave(self)
        super().connectionLost(reason)

    def drop(self) -> None:
        """End the connection at once."""
        self.transport.abortConnection()
