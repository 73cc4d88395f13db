"""``POST /send``: a message to one client."""

from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import Request

from phpgw.api.access import Access, Denied
from phpgw.api.site import is_too_large
from phpgw.metrics import Metrics
from phpgw.peer import peer_name
from phpgw.registry import Registry

_PLAIN_TEXT = "text/plain; charset=utf-8"


class BadRequest(Exception):
    """The form cannot be used; the text says what is wrong with it."""


class SendResource(Resource):
    """Takes ``message`` and ``client_id`` as a form or in the query; ``type`` is ignored."""

    isLeaf = True
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
            client_id = _field(request, b"client_id").decode()
            message = _field(request, b"message")
            message.decode()
        except UnicodeDecodeError:
            return self._refused(request, 400, "Bad Request: the form's text is not UTF-8")
        except BadRequest as error:
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


def _field(request: Request, name: bytes) -> bytes:
    values = request.args.get(name)
    if not values:
        raise BadRequest(
            f"the field {name.decode()} is missing; send message and client_id as a form"
        )
    return values[0]
