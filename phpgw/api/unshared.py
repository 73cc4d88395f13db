"""Requests that several workers refuse, since one of them alone could answer."""

from twisted.web.server import Request

from phpgw.api.json_resource import JsonResource
from phpgw.web.response import HttpError

_REASON = (
    "each worker of this gateway knows its own events and logins alone: this needs a gateway with "
    "one process (--workers 1)"
)


class UnsharedResource(JsonResource):
    """A resource that refuses everything, with status 501 and the reason."""

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        """Refuse."""
        raise HttpError(501, _REASON)

    render_POST = render_GET
