"""``GET /stats``: the counters."""

from twisted.web.server import Request

from phpgw.api.access import AccessControl
from phpgw.api.json_resource import JsonResource, query_parameters
from phpgw.metrics import Metrics
from phpgw.web.response import json_body


class StatsResource(JsonResource):
    """``GET /stats``: the counters."""

    def __init__(self, access: AccessControl, metrics: Metrics) -> None:
        super().__init__(access)
        self._metrics = metrics

    def render_GET(self, request: Request) -> bytes:
        """Respond with the value of each counter."""
        query_parameters(request)
        return json_body(request, self._metrics.as_dict())
