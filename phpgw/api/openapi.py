"""``GET /openapi.json``: the description of the API for programs (OpenAPI 3.1)."""

import json
from importlib import resources
from typing import Any

from twisted.web.server import Request

from phpgw import __version__
from phpgw.api.access import AccessControl
from phpgw.api.json_resource import JsonResource, query_parameters
from phpgw.metrics import Metrics
from phpgw.web.response import json_body


def openapi_document() -> dict[str, Any]:
    """Return the document, with the package's version, and with each number of ``/stats``."""
    text = resources.files("phpgw.api").joinpath("openapi.json").read_text("utf-8")
    document = json.loads(text)
    document["info"]["version"] = __version__
    document["components"]["schemas"]["Stats"] |= _stats_schema()
    return document


def _stats_schema() -> dict[str, Any]:
    """Return what the declarations of the metrics say about the response of ``/stats``."""
    number = {"type": "integer", "minimum": 0}
    properties = {each.name: number | {"description": each.help} for each in Metrics.describe()}
    return {"required": [*properties], "properties": properties}


class OpenApiResource(JsonResource):
    """``GET /openapi.json``: the description."""

    def __init__(self, access: AccessControl) -> None:
        super().__init__(access)
        self._document = openapi_document()

    def render_GET(self, request: Request) -> bytes:
        """Respond with the description."""
        query_parameters(request)
        return json_body(request, self._document)
