"""``POST /send``: a message to one client."""

from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import Request

from phpgw.api.access import Access, Denied
from phpgw.api.fields import BadForm, request_fields
from phpgw.api.site import is_too_large
from phpgw.metrics import Metrics
from phpgw.peer import peer_name
from phpgw.registry import Registry

_PLAIN_TEXT = "text/plain; charset=utf-8"


class SendResource(Resource):
    """Takes ``message`` and ``client_id`` as a form or in the query; ``type`` is ignored."""

    log = Logger()

    def __init__(self, registry: Registry, access: Access, metrics: Metrics, limit: int) -> None:
        super().__init__()
        self._registry = registry
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
            client_id, message = _read(request)
        except BadForm as error:
            return self._refused(request, 400, f"Bad Request: {error}")
        client = self._registry.find(client_id)
        if client is None:
            return self._refused(request, 404, "Client not found")
        client.connection.send_message(message, is_binary=False)
        self._metrics.pushes_delivered += 1
        request.setHeader("Content-Type", _PLAIN_TEXT)
        return b"Message sent"

    def _refused(self, request: Request, status: int, reason: str) -> bytes:
        self._metrics.pushes_refused += 1
        request.setResponseCode(status)
        request.setHeader("Content-Type", _PLAIN_TEXT)
        return reason.encode() + b"\n"


def _read(request: Request) -> tuple[str, bytes]:
    """The client's id and the message.

    :raises BadForm: if the form cannot be used.
    """
    fields = request_fields(request)
    for name in ("client_id", "message"):
        if name not in fields:
            raise BadForm(f"the field {name} is missing; send message and client_id as a form")
    try:
        # A text message is UTF-8, or browsers drop the connection: RFC 6455, section 8.1.
        fields["message"].decode()
        return fields["client_id"].decode(), fields["message"]
    except UnicodeDecodeError:
        raise BadForm("the form's text is not UTF-8") from None
