"""``GET /pools``: the connection pools, and how they fare."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.server import Request

from phpgw.api.access import AccessControl
from phpgw.api.json_resource import JsonResource, query_parameters
from phpgw.prometheus.figures import Figures
from phpgw.web.response import json_body


class PoolsResource(JsonResource):
    """``GET /pools``: each pool with its figures."""

    def __init__(self, access: AccessControl, figures: Figures) -> None:
        super().__init__(access)
        self._figures = figures

    def render_GET(self, request: Request) -> bytes | Deferred[bytes]:
        """Respond with the pools, in the order of the options."""
        query_parameters(request)

        def respond(pools: list[dict[str, Any]]) -> bytes:
            return json_body(request, {"pools": pools})

        pools = self._figures.pools()
        return pools.addCallback(respond) if isinstance(pools, Deferred) else respond(pools)
