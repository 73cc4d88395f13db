"""``GET /stats``: the counters."""

from twisted.internet.defer import Deferred
from twisted.web.server import Request

from phpgw.api.access import AccessControl
from phpgw.api.json_resource import JsonResource, query_parameters
from phpgw.prometheus.figures import Figures
from phpgw.web.response import json_body


class StatsResource(JsonResource):
    """``GET /stats``: the counters."""

    def __init__(self, access: AccessControl, figures: Figures) -> None:
        super().__init__(access)
        self._figures = figures

    def render_GET(self, request: Request) -> bytes | Deferred[bytes]:
        """Respond with the value of each counter."""
        query_parameters(request)
        snapshot = self._figures.snapshot()
        if isinstance(snapshot, Deferred):
            return snapshot.addCallback(lambda later: json_body(request, later.values))
        return json_body(request, snapshot.values)
