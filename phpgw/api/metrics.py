"""``GET /metrics``: the metrics for Prometheus."""

from twisted.internet.defer import Deferred
from twisted.web.server import Request

from phpgw.api.access import AccessControl
from phpgw.api.json_resource import JsonResource, query_parameters
from phpgw.prometheus.exposition import Exposition
from phpgw.prometheus.figures import Figures
from phpgw.web.response import body_of_type


class MetricsResource(JsonResource):
    """``GET /metrics``: the metrics, in a format that Prometheus reads."""

    def __init__(self, access: AccessControl, figures: Figures) -> None:
        super().__init__(access)
        self._figures = figures

    def render_GET(self, request: Request) -> bytes | Deferred[bytes]:
        """Respond with all metrics, in the format that the request accepts."""
        query_parameters(request)
        exposition = self._figures.exposition(request.getHeader(b"Accept") or b"")

        def respond(exposition: Exposition) -> bytes:
            request.setHeader("Vary", "Accept")
            return body_of_type(request, exposition.content_type, exposition.text)

        if isinstance(exposition, Deferred):
            return exposition.addCallback(respond)
        return respond(exposition)
