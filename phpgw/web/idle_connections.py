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
    """The HTTP connections without a complete request, oldest first, and a limit on their number.

    :param limit: the maximum number of such connections.
    :ivar metrics: counts these connections, those dropped, and the requests that timed out.
    """

    log = Logger(observer=line_limit)

    def __init__(
        self, reactor: IReactorTime, limit: int = 1000, metrics: Metrics | None = None
    ) -> None:
        self._limit = limit
        self.metrics = metrics or Metrics()
        self._dropped_throttle = LogThrottle(reactor.seconds)
        # An ordered set: the connection that has waited for longest comes first.
        self._waiting: dict[IdleTrackingChannel, None] = {}

    def add(self, channel: "IdleTrackingChannel") -> None:
        """Add a connection as the newest one; drop the oldest if the limit is exceeded."""
        if channel in self._waiting:
            del self._waiting[channel]
            self._waiting[channel] = None
            return
        self._waiting[channel] = None
        self.metrics.http_connections_now += 1
        if len(self._waiting) > self._limit:
            oldest = next(iter(self._waiting))
            self.discard(oldest)
            oldest.drop()
            self.metrics.http_connections_dropped += 1
            if count := self._dropped_throttle.count():
                self.log.warn(
                    "Dropped {count} connections that had been silent for longest, to make room "
                    "(--max-http-connections)",
                    count=count,
                )

    def discard(self, channel: "IdleTrackingChannel") -> None:
        """Remove a connection, if it is there."""
        if channel in self._waiting:
            del self._waiting[channel]
            self.metrics.http_connections_now -= 1


class IdleTrackingChannel(HTTPChannel):
    """An HTTP connection that counts as idle whenever no request of it is being handled."""

    site: Any
    transport: Any

    def connectionMade(self) -> None:
        super().connectionMade()
        self.site.idle_connections.add(self)

    def allContentReceived(self) -> None:  # noqa: N802
        self.site.idle_connections.discard(self)
        super().allContentReceived()

    def requestDone(self, request: Request) -> None:  # noqa: N802
        # First, since the next request may have arrived already.
        self.site.idle_connections.add(self)
        super().requestDone(request)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.site.idle_connections.discard(self)
        super().connectionLost(reason)

    def drop(self) -> None:
        """Close the connection at once."""
        self.transport.abortConnection()
