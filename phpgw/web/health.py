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

    A gateway that cannot reach others is still ready: it serves its own clients, and if all of them
    were not ready, nobody would be served. The response says ``degraded`` then, and why.

    It is open to everybody, since load balancers need no access to the API.

    :param checks: called for each request.
    :param degradation: called, too; returns why only a part of the gateway works.
    """

    isLeaf = True

    def __init__(
        self, checks: Sequence[ReadinessCheck], degradation: ReadinessCheck = lambda: None
    ) -> None:
        super().__init__()
        self._checks = checks
        self._degradation = degradation

    def render(self, request: Request) -> bytes:
        if request.method not in (b"GET", b"HEAD"):
            refused = HttpError(405, "this can be asked with GET, HEAD", {"Allow": "GET, HEAD"})
            return refused.as_text(request)
        reasons = [reason for check in self._checks if (reason := check()) is not None]
        degradation = self._degradation()
        if not reasons:
            text = "ready" if degradation is None else f"ready, degraded: {degradation}"
            return text_body(request, f"{text}\n")
        if degradation is not None:
            reasons.append(degradation)
        request.setResponseCode(503)
        return text_body(request, "".join(f"{reason}\n" for reason in reasons))
