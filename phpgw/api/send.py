"""``POST /send``: a message to one client, or to all."""

from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import Request

from phpgw.api.access import Access, Denied
from phpgw.api.fields import BadForm, request_fields
from phpgw.api.push import Deliveries, read_push
from phpgw.api.site import is_too_large
from phpgw.metrics import Metrics
from phpgw.peer import peer_name

_PLAIN_TEXT = "text/plain; charset=utf-8"


class SendResource(Resource):
    """Takes ``message`` and ``client_id``, or ``all=1`` in its place, as a form or in the query.

    Other fields, like ``type``, are ignored.
    """

    log = Logger()

    def __init__(
        self, deliveries: Deliveries, access: Access, metrics: Metrics, limit: int
    ) -> None:
        super().__init__()
        self._deliveries = deliveries
        self._access = access
        self._metrics = metrics
        self._limit = limit

    def render(self, request: Request) -> bytes:
        """Answer in plain text, whatever the request."""
        if request.method != b"POST":
            request.setHeader("Allow", "POST")
            return self._refused(request, 405, "Method Not Allowed: push with POST")
        try:
            self._access.check(request)
        except Denied as denied:
            self._metrics.pushes_refused += 1
            self.log.warn(
                "Denied a push from {peer}: {reason}",
                peer=peer_name(request.getClientAddress()),
                reason=str(denied),
            )
            return denied.answer(request)
        if is_too_large(request):
            return self._refused(
                request, 413, f"Content Too Large: a push may have {self._limit} bytes at most"
            )
        try:
            push = read_push(request_fields(request))
        except BadForm as error:
            return self._refused(request, 400, f"Bad Request: {error}")
        if not self._deliveries.deliver(push):
            return self._refused(request, 404, "Client not found")
        request.setHeader("Content-Type", _PLAIN_TEXT)
        return b"Message sent"

    def _refused(self, request: Request, status: int, reason: str) -> bytes:
        self._metrics.pushes_refused += 1
        request.setResponseCode(status)
        request.setHeader("Content-Type", _PLAIN_TEXT)
        return reason.encode() + b"\n"
