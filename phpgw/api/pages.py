"""What the gateway says about itself: a word for the lost, health, and its counters."""

from twisted.web.resource import Resource
from twisted.web.server import Request

from phpgw.api.access import Access
from phpgw.api.resource import JsonResource, query_parameters
from phpgw.api.response import Refused, json_body, text_body
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
        lines = ("This is phpgw, a WebSocket gateway for PHP. It serves:", "", *self.paths, "")
        return text_body(request, "\n".join(lines))


class HealthResource(Resource):
    """``GET /healthz``: the process answers."""

    isLeaf = True

    def render(self, request: Request) -> bytes:
        if request.method not in (b"GET", b"HEAD"):
            refused = Refused(405, "this can be asked with GET, HEAD", {"Allow": "GET, HEAD"})
            return refused.as_text(request)
        return text_body(request, "ok\n")


class StatsResource(JsonResource):
    """``GET /stats``: the counters."""

    def __init__(self, access: Access, metrics: Metrics) -> None:
        super().__init__(access)
        self._metrics = metrics

    def render_GET(self, request: Request) -> bytes:
        query_parameters(request)
        return json_body(request, self._metrics.as_dict())
