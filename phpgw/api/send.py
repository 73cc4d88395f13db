"""``POST /send``: a message to a client, a group or a user, or to all."""

from twisted.web.resource import Resource
from twisted.web.server import Request

from phpgw.api.access import Access
from phpgw.api.fields import BadForm, request_fields
from phpgw.api.push import read_push
from phpgw.api.resource import NothingHere
from phpgw.api.response import Refused, text_body
from phpgw.api.site import is_too_large
from phpgw.dispatch import Dispatcher
from phpgw.metrics import Metrics


class SendResource(Resource):
    """Takes ``message`` and ``client_id`` as a form or in the query.

    In place of ``client_id`` there may be ``group``, ``user`` or ``all=1``. Other fields, like
    ``type``, are ignored.
    """

    def __init__(
        self, access: Access, dispatcher: Dispatcher, metrics: Metrics, limit: int
    ) -> None:
        super().__init__()
        self._access = access
        self._dispatcher = dispatcher
        self._metrics = metrics
        self._limit = limit

    def getChild(self, path: bytes, request: Request) -> Resource:
        return NothingHere(self._access)

    def render(self, request: Request) -> bytes:
        """Answer in plain text, whatever the request."""
        try:
            self._push(request)
        except Refused as refused:
            self._metrics.pushes_refused += 1
            return refused.as_text(request)
        self._metrics.pushes_delivered += 1
        return text_body(request, "Message sent")

    def _push(self, request: Request) -> None:
        if request.method != b"POST":
            raise Refused(405, "Method Not Allowed: push with POST", {"Allow": "POST"})
        self._access.check(request)
        if is_too_large(request):
            raise Refused(413, f"Content Too Large: a push may have {self._limit} bytes at most")
        try:
            push = read_push(request_fields(request))
        except BadForm as error:
            raise Refused(400, f"Bad Request: {error}") from None
        result = self._dispatcher.run(push)
        if not result.delivered and push.to.names:
            raise Refused(404, f"{push.to.kind.capitalize()} not found")
