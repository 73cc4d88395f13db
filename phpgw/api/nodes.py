"""``GET /nodes``: the gateways, or workers, that are one for PHP."""

from collections.abc import Sequence
from functools import partial

import attrs
from twisted.internet.defer import Deferred
from twisted.web.server import Request

from phpgw.api.access import AccessControl
from phpgw.api.json_resource import JsonResource, query_parameters
from phpgw.hub.nodes import NodeInfo, NodeList
from phpgw.web.response import json_body


class NodesResource(JsonResource):
    """``GET /nodes``: each with its clients, its rate, its lease, and what is wrong with it."""

    def __init__(self, access: AccessControl, nodes: NodeList) -> None:
        super().__init__(access)
        self._nodes = nodes

    def render_GET(self, request: Request) -> Deferred[bytes]:
        """Respond with all nodes, without any if this gateway is alone."""
        query_parameters(request)
        return self._nodes.nodes().addCallback(partial(_respond, request))


def _respond(request: Request, nodes: Sequence[NodeInfo]) -> bytes:
    fields = [attrs.asdict(each) for each in nodes]
    return json_body(request, {"nodes": [{"node": each.pop("node_id"), **each} for each in fields]})
