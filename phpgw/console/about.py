"""``/console/api/about``: what the console's page has to know of the gateway."""

from twisted.web.server import Request

from phpgw import __version__
from phpgw.api.access import AccessControl
from phpgw.api.json_resource import JsonResource, query_parameters
from phpgw.web.response import json_body


class AboutResource(JsonResource):
    """``GET /console/api/about``: the version, and the script's URL.

    :param script_url: where events are sent to, or where a web server may have the script.
    """

    def __init__(self, access: AccessControl, script_url: str) -> None:
        super().__init__(access)
        self._script_url = script_url

    def render_GET(self, request: Request) -> bytes:
        """Respond with both."""
        query_parameters(request)
        return json_body(request, {"version": __version__, "script_url": self._script_url})
