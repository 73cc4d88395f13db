"""``POST /send``: a message to a client, a group or a user, or to all."""

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Request

from phpgw.api.access import Access
from phpgw.api.forms import InvalidForm, request_fields
from phpgw.api.json_resource import NothingHere
from phpgw.api.push import read_push
from phpgw.hub.command_parser import LONG_TEXT
from phpgw.hub.commands import Send
from phpgw.hub.dispatch import Dispatcher, Result
from phpgw.metrics import Metrics
from phpgw.time_slices import JobsStopped, run_to_completion
from phpgw.web.response import HttpError, busy, respond_later, stopping, text_body
from phpgw.web.site import is_too_large


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
            answer = self._begin(request)
        except (HttpError, InvalidForm) as problem:
            return self._refuse(problem, request)
        if isinstance(answer, Deferred):
            return respond_later(request, answer.addErrback(self._refuse_later, request))
        return answer

    def _begin(self, request: Request) -> bytes | Deferred[bytes]:
        if request.method != b"POST":
            raise HttpError(405, "Method Not Allowed: push with POST", {"Allow": "POST"})
        self._access.check(request)
        if is_too_large(request):
            raise HttpError(
                413,
                f"Content Too Large: a push may have {self._limit} bytes at most (--max-push-size)",
            )
        body = request.content.read() if request.content is not None else b""
        reading = request_fields(request, body)
        if len(body) <= LONG_TEXT:
            return self._push(run_to_completion(reading), request)
        if self._dispatcher.slices.is_full:
            raise busy()
        return self._dispatcher.slices.run(reading).addCallback(self._push, request)

    def _push(self, fields: dict[str, bytes], request: Request) -> bytes | Deferred[bytes]:
        push = read_push(fields)
        result = self._run(push)
        if isinstance(result, Deferred):
            return result.addCallback(self._answer, push, request)
        return self._answer(result, push, request)

    def _run(self, push: Send) -> Result | Deferred[Result]:
        if self._dispatcher.slices.is_full and self._dispatcher.is_long((push,)):
            raise busy()
        return self._dispatcher.run(push)

    def _answer(self, result: Result, push: Send, request: Request) -> bytes:
        if not result.delivered and push.to.names:
            raise HttpError(404, f"{push.to.kind.capitalize()} not found")
        self._metrics.pushes_delivered += 1
        return text_body(request, "Message sent")

    def _refuse(self, problem: HttpError | InvalidForm, request: Request) -> bytes:
        self._metrics.pushes_refused += 1
        if isinstance(problem, InvalidForm):
            problem = HttpError(400, f"Bad Request: {problem}")
        return problem.as_text(request)

    def _refuse_later(self, failure: Failure, request: Request) -> bytes:
        if failure.check(JobsStopped):
            return self._refuse(stopping(), request)
        failure.trap(HttpError, InvalidForm)
        assert isinstance(failure.value, HttpError | InvalidForm)
        return self._refuse(failure.value, request)
