"""The HTTP site of a listening port: its limits, timeouts and connections."""

from collections.abc import Callable
from typing import Any

import attrs
from twisted.web.http import HTTPChannel
from twisted.web.http import Request as HTTPRequest
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from phpgw.web.idle_connections import IdleConnections
from phpgw.web.pipelining import PipelineScheduler
from phpgw.web.request import LimitedRequest
from phpgw.web.strict_http import StrictChannel

# A body is read up to this many times its limit. Beyond it, the client gets the response at once.
_READ_FACTOR = 8
_HEAD_TIMEOUT = 10


@attrs.frozen
class _RequestFactory:
    _limit: int

    def __call__(self, channel: HTTPChannel, queued: object = None) -> LimitedRequest:
        return LimitedRequest(channel, self._limit)


class GatewaySite(Site):
    """An HTTP/1.1 site with strict limits and without an access log.

    A URL's query may contain a message, and messages are not logged.

    :param limit: the maximum size of a request's body, in bytes.
    :ivar idle_connections: the limit on connections without a complete request.
    :ivar pipeline_scheduler: takes turns between connections that have sent several requests.
    :ivar head_timeout: seconds for a request's head to arrive, from the connection, or from the
        first byte of a later request.
    :ivar max_read_size: bytes of a body that are read, although those over the limit are dropped.
    :ivar wants_body: decides after a request's head whether its body is kept. By default, each is.
    """

    noisy = False
    protocol: Any = StrictChannel

    def __init__(
        self,
        resource: IResource,
        limit: int,
        reactor: Any,
        idle_connections: IdleConnections | None = None,
        head_timeout: float = _HEAD_TIMEOUT,
        wants_body: Callable[[Request], bool] = lambda request: True,
    ) -> None:
        self.idle_connections = idle_connections or IdleConnections(reactor)
        self.pipeline_scheduler = PipelineScheduler(reactor)
        self.head_timeout = head_timeout
        self.max_read_size = limit * _READ_FACTOR
        self.wants_body = wants_body
        super().__init__(resource, _RequestFactory(limit), timeout=head_timeout, reactor=reactor)

    def acceptableProtocols(self) -> list[bytes]:  # noqa: N802
        """Return HTTP/1.1 alone. Twisted's HTTP/2 cannot upgrade to a WebSocket."""
        return [b"http/1.1"]

    def log(self, request: HTTPRequest) -> None:
        """Write nothing. The resources log what matters."""
