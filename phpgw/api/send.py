"""``POST /send``: a message to a client, a group or a user, or to all."""

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Request

from phpgw.api.access import Access
from phpgw.api.fields import BadForm, request_fields
from phpgw.api.later import answer_later, busy, stopping
from phpgw.api.push import read_push
from phpgw.api.resource import NothingHere
from phpgw.api.response import Refused, text_body
from phpgw.api.site import is_too_large
from phpgw.commands import Send
from phpgw.dispatch import Dispatcher, Result
from phpgw.metrics import Metrics
from phpgw.slices import JobsStopped


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

    def render(self, request: Request) -> bytes | int:
        """Answer in plain text, whatever the request."""
        try:
            push = self._read(request)
            result = self._run(push)
            if not isinstance(result, Deferred):
                return self._answer(result, push, request)
        except Refused as refused:
            return self._refuse(refused, request)
        answer = result.addCallback(self._answer, push, request)
        return answer_later(request, answer.addErrback(self._refuse_later, request))

    def _read(self, request: Request) -> Send:
        if request.method != b"POST":
            raise Refused(405, "Method Not Allowed: push with POST", {"Allow": "POST"})
        self._access.check(request)
        if is_too_large(request):
            raise Refused(
                413,
                f"Content Too Large: a push may have {self._limit} bytes at most (--max-push-size)",
            )
        try:
            return read_push(request_fields(request))
        except BadForm as error:
            raise Refused(400, f"Bad Request: {error}") from None

    def _run(self, push: Send) -> Result | Deferred[Result]:
        if self._dispatcher.slices.is_full and self._dispatcher.is_long((push,)):
            raise busy()
        return self._dispatcher.run(push)

    def _answer(self, result: Result, push: Send, request: Request) -> bytes:
        if not result.delivered and push.to.names:
            raise Refused(404, f"{push.to.kind.capitalize()} not found")
        self._metrics.pushes_delivered += 1
        return text_body(request, "Message sent")

    def _refuse(self, refused: Refused, request: Request) -> bytes:
        self._metrics.pushes_refused += 1
        return refused.as_text(request)

    def _refuse_later(self, failure: Failure, request: Request) -> bytes:
        if failure.check(JobsStopped):
            return self._refuse(stopping(), request)
        failure.trap(Refused)
        assert isinstance(failure.value, Refused)
        return self._refuse(failure.value, request)
