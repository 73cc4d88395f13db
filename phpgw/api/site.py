"""The HTTP server's own limits and habits, the same for every path."""

from io import BytesIO
from typing import Any, cast

import attrs
from twisted.web.http import HTTPChannel
from twisted.web.http import Request as HTTPRequest
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from phpgw.api.fast_lane import FastLane, FastLaneChannel
from phpgw.api.lobby import Lobby
from phpgw.api.response import text_body
from phpgw.hosts import host_name

# A body this many times over the limit is not even read to its end.
_PATIENCE = 8
_HEAD_SECONDS = 10


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

    def __init__(self, channel: HTTPChannel, limit: int) -> None:
        super().__init__(channel, parsePOSTFormSubmission=False)
        self._limit = limit

    def handleContentChunk(self, data: bytes) -> None:
        self._received += len(data)
        if self._received <= self._limit:
            super().handleContentChunk(data)
            return
        if not self.is_too_large:
            self.is_too_large = True
            self.content = BytesIO()
        if self._received > self._limit * _PATIENCE:
            cast(Any, self.channel.transport).abortConnection()

    def process(self) -> None:
        fault = self._fault()
        if fault is None:
            super().process()
            return
        body = text_body(self, f"Bad Request: {fault}\n")
        self.setResponseCode(400)
        self._introduce_us()
        self.setHeader("Content-Length", str(len(body)))
        self.setHeader("Connection", "close")
        self.channel.persistent = 0
        self.write(body)
        self.finish()

    def render(self, resrc: IResource) -> None:
        self._introduce_us()
        super().render(resrc)

    def _introduce_us(self) -> None:
        self.setHeader("Server", "phpgw")
        # Whatever a text has in it, nobody is to take it for a page.
        self.setHeader("X-Content-Type-Options", "nosniff")

    def _fault(self) -> str | None:
        """What is wrong with the request, whoever makes it and for whatever."""
        if not self.path.startswith(b"/"):
            # twisted.web would leave out the first character, whatever it is.
            return "the path has to begin with a slash"
        hosts = self.requestHeaders.getRawHeaders(b"Host", [])
        # RFC 9112, section 3.2.
        if len(hosts) > 1 or not (hosts or self.clientproto == b"HTTP/1.0"):
            return "there has to be one Host header"
        if any(host_name(host) is None for host in hosts):
            return "the Host header is malformed"
        return None


@attrs.frozen
class _RequestFactory:
    _limit: int

    def __call__(self, channel: HTTPChannel, queued: object = None) -> LimitedRequest:
        return LimitedRequest(channel, self._limit)


class GatewaySite(Site):
    """A site without access log: a URL's query may be a message, and those are not logged.

    :param limit: bytes that a request's body may have.
    :ivar fast_lane: what answers plain pushes, if they are taken here.
    :ivar lobby: where connections wait for their next request.
    :ivar head_seconds: how long it may take until a request's head is there, from when somebody
        connects, or from the first byte of a later request.
    :ivar patience: bytes of a body that are read, be they too many.
    """

    noisy = False
    protocol: Any = FastLaneChannel

    def __init__(
        self,
        resource: IResource,
        limit: int,
        reactor: Any,
        fast_lane: FastLane | None = None,
        lobby: Lobby | None = None,
        head_seconds: float = _HEAD_SECONDS,
    ) -> None:
        self.fast_lane = fast_lane
        self.lobby = lobby or Lobby(reactor)
        self.head_seconds = head_seconds
        self.patience = limit * _PATIENCE
        super().__init__(resource, _RequestFactory(limit), timeout=head_seconds, reactor=reactor)

    def acceptableProtocols(self) -> list[bytes]:  # noqa: N802
        """HTTP/1.1 alone: a WebSocket cannot grow out of Twisted's HTTP/2."""
        return [b"http/1.1"]

    def log(self, request: HTTPRequest) -> None:
        """Write nothing; the resources log what matters."""
