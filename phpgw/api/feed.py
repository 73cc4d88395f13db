"""``/feed``: a WebSocket with events and metrics, and the tickets for it."""

from typing import cast

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.server import Request

from phpgw.api.access import LastingAccess
from phpgw.api.json_resource import JsonResource, query_parameters
from phpgw.feed.viewer import TICKET_SECONDS, ViewerFactory
from phpgw.hub.directory import NotKnown
from phpgw.relay.connect import Refusal
from phpgw.web.host import parse_host
from phpgw.web.origin import parse_origin
from phpgw.web.refusal_log import log_refusal
from phpgw.web.response import HttpError, json_body, not_known, respond_later


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
        return respond_later(request, self.render_GET(request))

    def render_GET(self, request: Request) -> Deferred[bytes]:
        """Accept a handshake; there is a response only if that is refused."""
        refused: Deferred[bytes] = Deferred()
        opening = Deferred.fromCoroutine(self._open(request))
        opening.addErrback(self._refuse_handshake, request).addCallback(
            lambda body: None if body is None else refused.callback(body)
        )
        opening.addErrback(refused.errback)
        return refused

    def render_POST(self, request: Request) -> Deferred[bytes]:
        """Respond with a ticket."""
        query_parameters(request)

        def respond(ticket: str) -> bytes:
            return json_body(request, {"ticket": ticket, "seconds": TICKET_SECONDS})

        return self._viewers.make_ticket(self._permission(request)).addCallback(respond)

    async def _open(self, request: Request) -> None:
        _check_origin(request)
        ticket = query_parameters(request, "ticket").get("ticket", "")
        await self._viewers.open(request, ticket.encode())

    def _refuse_handshake(self, failure: Failure, request: Request) -> bytes:
        """Return the response to a handshake that was refused, and log it."""
        refused: HttpError
        if failure.check(NotKnown):
            refused = not_known(failure.getErrorMessage())
        elif failure.check(Refusal):
            refusal = cast(Refusal, failure.value)
            headers = {name.decode(): value.decode() for name, value in refusal.headers}
            refused = HttpError(refusal.status, refusal.reason, headers)
        else:
            failure.trap(HttpError)
            refused = cast(HttpError, failure.value)
        log_refusal(request.getClientAddress(), refused.status, str(refused))
        return self.refuse(request, refused)


def _check_origin(request: Request) -> None:
    """Refuse pages of other sites, which have no ticket, even if one should get hold of it."""
    host = parse_host(request.getHeader(b"Host") or b"")
    for value in request.requestHeaders.getRawHeaders(b"Origin", ()):
        origin = parse_origin(value)
        if origin is None or not host or origin.host != host:
            raise HttpError(403, "Pages of other sites may not watch.")
