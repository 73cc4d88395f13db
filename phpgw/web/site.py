"""The HTTP server's own limits and habits, the same for every path."""

import re
from collections.abc import Callable
from io import BytesIO
from typing import Any

import attrs
from twisted.web.http import HTTPChannel
from twisted.web.http import Request as HTTPRequest
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from phpgw.web.host import parse_host
from phpgw.web.idle_connections import IdleConnections
from phpgw.web.pipelining import PipelineScheduler
from phpgw.web.response import HttpError
from phpgw.web.strict_http import StrictChannel

# A body this many times over the limit is not even read to its end.
_PATIENCE = 8
_HEAD_SECONDS = 10
# No path of ours is deeper, nor any that can be configured sensibly; twisted.web takes time for
# each segment, and for each of them in proportion to how many follow.
_DEEPEST = 32
# A request target in absolute form: RFC 9112, section 3.2.2.
_ABSOLUTE = re.compile(rb"(?:https?|wss?)://([^/?]*)(.*)", re.IGNORECASE | re.DOTALL)


def is_too_large(request: Request) -> bool:
    """Whether the request's body was over the limit; it is empty then."""
    return isinstance(request, LimitedRequest) and request.is_too_large


class LimitedRequest(Request):
    """A request that is in order, and keeps no more of its body than is allowed.

    What is over the limit is read and dropped, so that the client gets to see the answer.
    """

    is_too_large = False
    _limit: int
    _received = 0
    # Whether it was too much to wait for the rest.
    _is_answered = False
    # The host in the request line, where that has one.
    _asked_host: bytes | None = None

    def __init__(self, channel: HTTPChannel, limit: int) -> None:
        super().__init__(channel, parsePOSTFormSubmission=False)
        self._limit = limit

    def gotLength(self, length: int | None) -> None:
        """Keep the body in memory, or not at all; twisted.web writes one that is long to disk."""
        channel: Any = self.channel
        self.content = BytesIO()
        self.method, self.clientproto = channel._command, channel._version
        self.is_too_large = length is not None and length > channel.site.patience
        if length != 0 and not channel.site.wants_body(self):
            self._limit = 0

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Take a request that is there as a whole.

        In place of twisted.web's own, which reads forms and queries that may be long, and before
        anybody has asked who may send them.
        """
        assert self.content is not None
        self.content.seek(0)
        if absolute := _ABSOLUTE.fullmatch(path):
            self._asked_host, target = absolute.groups()
            path = target if target.startswith(b"/") else b"/" + target
        self.method, self.uri, self.clientproto = command, path, version
        self.path = path.partition(b"?")[0]
        self.args = {}
        self.process()

    def handleContentChunk(self, data: bytes) -> None:
        if self._is_answered:
            return
        channel: Any = self.channel
        self._received += len(data)
        if self._received <= self._limit:
            super().handleContentChunk(data)
            return
        if not self.is_too_large:
            self.is_too_large = True
            self.content = BytesIO()
        if self._received > channel.site.patience:
            self._is_answered = True
            channel.refuse_body()

    def process(self) -> None:
        try:
            self._check()
        except HttpError as refused:
            self._set_common_headers()
            body = refused.as_text(self)
            if self.method != b"HEAD":
                self.setHeader("Content-Length", str(len(body)))
            self.setHeader("Connection", "close")
            self.channel.persistent = 0
            self.write(body)
            self.finish()
        else:
            super().process()

    def render(self, resrc: IResource) -> None:
        self._set_common_headers()
        super().render(resrc)

    def _set_common_headers(self) -> None:
        self.setHeader("Server", "phpgw")
        # Whatever a text has in it, nobody is to take it for a page.
        self.setHeader("X-Content-Type-Options", "nosniff")

    def _check(self) -> None:
        """See to it that the request is in order, whoever makes it and for whatever.

        :raises HttpError: if it is not.
        """
        if not self.path.startswith(b"/"):
            # twisted.web would leave out the first character, whatever it is.
            raise _bad("the path has to begin with a slash")
        hosts = self.requestHeaders.getRawHeaders(b"Host", [])
        # RFC 9112, section 3.2.
        if len(hosts) > 1 or not (hosts or self.clientproto == b"HTTP/1.0"):
            raise _bad("there has to be one Host header")
        if any(parse_host(host) is None for host in hosts):
            raise _bad("the Host header is malformed")
        if self._asked_host is not None:
            # Section 3.2.2: it counts in place of what the header says.
            if not parse_host(self._asked_host):
                raise _bad("the host in the request line is malformed")
            self.requestHeaders.setRawHeaders(b"Host", [self._asked_host])
        if self.path.count(b"/") > _DEEPEST:
            raise HttpError(404, "There is nothing here: the path is too deep.")


def _bad(fault: str) -> HttpError:
    return HttpError(400, f"Bad Request: {fault}")


@attrs.frozen
class _RequestFactory:
    _limit: int

    def __call__(self, channel: HTTPChannel, queued: object = None) -> LimitedRequest:
        return LimitedRequest(channel, self._limit)


class GatewaySite(Site):
    """A site without access log: a URL's query may be a message, and those are not logged.

    :param limit: bytes that a request's body may have.
    :ivar idle_connections: where connections wait for their next request.
    :ivar pipeline_scheduler: lets connections read on that have sent several requests.
    :ivar head_seconds: how long it may take until a request's head is there, from when somebody
        connects, or from the first byte of a later request.
    :ivar patience: bytes of a body that are read, be they too many.
    :ivar wants_body: tells of a request whose head has come whether its body is kept; by default,
        each is.
    """

    noisy = False
    protocol: Any = StrictChannel

    def __init__(
        self,
        resource: IResource,
        limit: int,
        reactor: Any,
        idle_connections: IdleConnections | None = None,
        head_seconds: float = _HEAD_SECONDS,
        wants_body: Callable[[Request], bool] = lambda request: True,
    ) -> None:
        self.idle_connections = idle_connections or IdleConnections(reactor)
        self.pipeline_scheduler = PipelineScheduler(reactor)
        self.head_seconds = head_seconds
        self.patience = limit * _PATIENCE
        self.wants_body = wants_body
        super().__init__(resource, _RequestFactory(limit), timeout=head_seconds, reactor=reactor)

    def acceptableProtocols(self) -> list[bytes]:  # noqa: N802
        """HTTP/1.1 alone: a WebSocket cannot grow out of Twisted's HTTP/2."""
        return [b"http/1.1"]

    def log(self, request: HTTPRequest) -> None:
        """Write nothing; the resources log what matters."""
