"""``GET /healthz`` and ``GET /readyz``, for load balancers."""

from collections.abc import Callable, Sequence

from twisted.web.resource import Resource
from twisted.web.server import Request

from phpgw.web.response import HttpError, text_body

# Says what is in the way, in a few words without secrets; None if nothing is.
ReadinessCheck = Callable[[], str | None]


class HealthResource(Resource):
    """``GET /healthz``: the process answers."""

    isLeaf = True

    def render(self, request: Request) -> bytes:
        if request.method not in (b"GET", b"HEAD"):
            refused = HttpError(405, "this can be asked with GET, HEAD", {"Allow": "GET, HEAD"})
            return refused.as_text(request)
        return text_body(request, "ok\n")


class ReadinessResource(Resource):
    """Open to everybody, such as a load balancer: 200, or 503 with what is in the way.

    :param obstacles: what there may be, asked each time.
    """

    isLeaf = True

    def __init__(self, obstacles: Sequence[ReadinessCheck]) -> None:
        super().__init__()
        self._obstacles = obstacles

    def render(self, request: Request) -> bytes:
        if request.method not in (b"GET", b"HEAD"):
            refused = HttpError(405, "this can be asked with GET, HEAD", {"Allow": "GET, HEAD"})
            return refused.as_text(request)
        reasons = [reason for obstacle in self._obstacles if (reason := obstacle()) is not None]
        if not reasons:
            return text_body(request, "ready\n")
        request.setResponseCode(503)
        return text_body(request, "".join(f"{reason}\n" for reason in reasons))
