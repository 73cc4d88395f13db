"""``GET /healthz`` and ``GET /readyz``, for load balancers and orchestrators."""

from collections.abc import Callable, Sequence

from twisted.web.resource import Resource
from twisted.web.server import Request

from phpgw.web.response import HttpError, text_body

# Returns why the gateway is not ready, in a few words without secrets; None if it is ready.
ReadinessCheck = Callable[[], str | None]


class HealthResource(Resource):
    """``GET /healthz``: 200 while the process responds (liveness)."""

    isLeaf = True

    def render(self, request: Request) -> bytes:
        if request.method not in (b"GET", b"HEAD"):
            refused = HttpError(405, "this can be asked with GET, HEAD", {"Allow": "GET, HEAD"})
            return refused.as_text(request)
        return text_body(request, "ok\n")


class ReadinessResource(Resource):
    """``GET /readyz``: 200, or 503 with the reasons why new clients should not be sent here.

    It is open to everybody, since load balancers need no access to the API.

    :param checks: called for each request.
    """

    isLeaf = True

    def __init__(self, checks: Sequence[ReadinessCheck]) -> None:
        super().__init__()
        self._checks = checks

    def render(self, request: Request) -> bytes:
        if request.method not in (b"GET", b"HEAD"):
            refused = HttpError(405, "this can be asked with GET, HEAD", {"Allow": "GET, HEAD"})
            return refused.as_text(request)
        reasons = [reason for check in self._checks if (reason := check()) is not None]
        if not reasons:
            return text_body(request, "ready\n")
        request.setResponseCode(503)
        return text_body(request, "".join(f"{reason}\n" for reason in reasons))
