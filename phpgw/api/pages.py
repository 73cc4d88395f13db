"""What the gateway says about itself: a word for the lost, health, and its counters."""

import json

from twisted.web.resource import Resource
from twisted.web.server import Request

from phpgw.api.access import Access, Denied
from phpgw.metrics import Metrics


class SignpostResource(Resource):
    """Whatever is not served here, with a hint at what is.

    :param status: of the answer; 200 for the front page, 404 for all else.
    :ivar paths: what is served, a line each.
    """

    def __init__(self, status: int, paths: tuple[str, ...]) -> None:
        super().__init__()
        self._status = status
        self.paths = paths

    def getChild(self, path: bytes, request: Request) -> Resource:
        if path == b"" and not request.postpath and self._status == 200:
            return self
        return SignpostResource(404, self.paths)

    def render(self, request: Request) -> bytes:
        request.setResponseCode(self._status)
        request.setHeader("Content-Type", "text/plain; charset=utf-8")
        lines = ("This is phpgw, a WebSocket gateway for PHP. It serves:", "", *self.paths, "")
        return "\n".join(lines).encode()


class HealthResource(Resource):
    """``GET /healthz``: the process answers."""

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        request.setHeader("Content-Type", "text/plain; charset=utf-8")
        return b"ok\n"


class StatsResource(Resource):
    """``GET /stats``: the counters as JSON, for those who may push."""

    isLeaf = True

    def __init__(self, access: Access, metrics: Metrics) -> None:
        super().__init__()
        self._access = access
        self._metrics = metrics

    def render_GET(self, request: Request) -> bytes:
        try:
            self._access.check(request)
        except Denied as denied:
            return denied.answer(request)
        request.setHeader("Content-Type", "application/json")
        return json.dumps(self._metrics.as_dict(), indent=2).encode() + b"\n"
