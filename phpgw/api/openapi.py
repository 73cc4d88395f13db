"""``GET /openapi.json``: what the API is, for programs (OpenAPI 3.1)."""

import json
from importlib import resources
from typing import Any

from twisted.web.server import Request

from phpgw import __version__
from phpgw.api.access import Access
from phpgw.api.json_resource import JsonResource, query_parameters
from phpgw.web.response import json_body


def openapi_document() -> dict[str, Any]:
    """The document, with the package's version for its own."""
    text = resources.files("phpgw.api").joinpath("openapi.json").read_text("utf-8")
    document = json.loads(text)
    document["info"]["version"] = __version__
    return document


class OpenApiResource(JsonResource):
    """Serves the document."""

    def __init__(self, access: Access) -> None:
        super().__init__(access)
        self._document = openapi_document()

    def render_GET(self, request: Request) -> bytes:
        query_parameters(request)
        return json_body(request, self._document)
