"""``/feed``: a WebSocket with events and metrics, and the tickets for it."""

from twisted.web.server import NOT_DONE_YET, Request

from phpgw.api.access import LastingAccess
from phpgw.api.json_resource import JsonResource, query_parameters
from phpgw.feed.viewer import TICKET_SECONDS, ViewerFactory
from phpgw.relay.connect import Refusal
from phpgw.web.host import parse_host
from phpgw.web.origin import parse_origin
from phpgw.web.refusal_log import log_refusal
from phpgw.web.response import HttpError, json_body


class FeedResource(JsonResource):
    """``POST /feed``: a ticket. ``GET /feed?ticket=``: the WebSocket."""

    def __init__(self, access: LastingAccess, viewers: ViewerFactory) -> None:
        super().__init__(access)
        self._permission = access.permission
        self._viewers = viewers

    def render(self, request: Request) -> bytes | int:
        """Respond; a handshake needs a ticket, and everything else what the API needs."""
        if request.method != b"GET":
            return super().render(request)
        try:
            return self.render_GET(request)
        except HttpError as refused:
            log_refusal(request.getClientAddress(), refused.status, str(refused))
            return self.refuse(request, refused)

    def render_GET(self, request: Request) -> int:
        """Accept a handshake."""
        _check_origin(request)
        ticket = query_parameters(request, "ticket").get("ticket", "")
        try:
            self._viewers.open(request, ticket.encode())
        except Refusal as refusal:
            headers = {name.decode(): value.decode() for name, value in refusal.headers}
            raise HttpError(refusal.status, refusal.reason, headers) from None
        return NOT_DONE_YET

    def render_POST(self, request: Request) -> bytes:
        """Respond with a ticket."""
        query_parameters(request)
        ticket = self._viewers.make_ticket(self._permission(request))
        return json_body(request, {"ticket": ticket, "seconds": TICKET_SECONDS})


def _check_origin(request: Request) -> None:
    """Refuse pages of other sites, which have no ticket, even if one should get hold of it."""
    host = parse_host(request.getHeader(b"Host") or b"")
    for value in request.requestHeaders.getRawHeaders(b"Origin", ()):
        origin = parse_origin(value)
        if origin is None or not host or origin.host != host:
            raise HttpError(403, "Pages of other sites may not watch.")
