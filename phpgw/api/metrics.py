"""``GET /metrics``: the metrics for Prometheus."""

from twisted.web.server import Request

from phpgw.api.access import AccessControl
from phpgw.api.json_resource import JsonResource, query_parameters
from phpgw.prometheus.collector import GatewayCollector
from phpgw.prometheus.exposition import expose
from phpgw.web.response import body_of_type


class MetricsResource(JsonResource):
    """``GET /metrics``: the metrics, in a format that Prometheus reads."""

    def __init__(self, access: AccessControl, collector: GatewayCollector) -> None:
        super().__init__(access)
        self._collector = collector

    def render_GET(self, request: Request) -> bytes:
        """Respond with all metrics, in the format that the request accepts."""
        query_parameters(request)
        exposition = expose(self._collector, request.getHeader(b"Accept") or b"")
        request.setHeader("Vary", "Accept")
        return body_of_type(request, exposition.content_type, exposition.text)
