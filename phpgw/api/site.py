"""The HTTP server's own limits and habits, the same for every path."""

from io import BytesIO
from typing import Any, cast

import attrs
from twisted.web.http import HTTPChannel
from twisted.web.http import Request as HTTPRequest
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from phpgw.api.fast_lane import FastLane, FastLaneChannel

# A body this many times over the limit is not even read to its end.
_PATIENCE = 8
_REQUEST_SECONDS = 60


def is_too_large(request: Request) -> bool:
    """Whether the request's body was over the limit; it is empty then."""
    return isinstance(request, LimitedRequest) and request.is_too_large


class LimitedRequest(Request):
    """A request that keeps no more of its body than is allowed.

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


@attrs.frozen
class _RequestFactory:
    _limit: int

    def __call__(self, channel: HTTPChannel, queued: object = None) -> LimitedRequest:
        return LimitedRequest(channel, self._limit)


class GatewaySite(Site):
    """A site without access log: a URL's query may be a message, and those are not logged.

    :param limit: bytes that a request's body may have.
    :ivar fast_lane: what answers plain pushes, if they are taken here.
    """

    noisy = False
    protocol: Any = FastLaneChannel

    def __init__(
        self,
        resource: IResource,
        limit: int,
        reactor: object,
        fast_lane: FastLane | None = None,
    ) -> None:
        self.fast_lane = fast_lane
        super().__init__(
            resource, _RequestFactory(limit), timeout=_REQUEST_SECONDS, reactor=reactor
        )

    def acceptableProtocols(self) -> list[bytes]:  # noqa: N802
        """HTTP/1.1 alone: a WebSocket cannot grow out of Twisted's HTTP/2."""
        return [b"http/1.1"]

    def log(self, request: HTTPRequest) -> None:
        """Write nothing; the resources log what matters."""
