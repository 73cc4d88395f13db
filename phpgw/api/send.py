"""``POST /send``: a push, a message to a client, a group or a user, or to all clients."""

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Request

from phpgw.api.access import AccessControl
from phpgw.api.forms import InvalidForm, request_fields
from phpgw.api.json_resource import NotFoundResource
from phpgw.history.rules import HistoryRule, parse_rule
from phpgw.hub.command_parser import LONG_TEXT
from phpgw.hub.commander import Commander, Result, is_undelivered
from phpgw.hub.commands import Send, Target, TargetKind
from phpgw.metrics import Metrics
from phpgw.time_slices import JobsStopped, TimeSlices, TooManyJobs, run_to_completion
from phpgw.web.request import is_too_large
from phpgw.web.response import HttpError, busy, respond_later, stopping, text_body

# Fields that name a target, with its kind.
_KINDS: dict[str, TargetKind] = {
    "client_id": "client",
    "group": "group",
    "user": "user",
    "all": "all",
    "upstream": "upstream",
}
_HINT = "send message and client_id as a form"


def read_push(fields: dict[str, bytes]) -> Send:
    """Return the push that the fields of a form describe.

    :raises InvalidForm: if they describe none.
    """
    if "message" not in fields:
        raise InvalidForm(f"the field message is missing; {_HINT}")
    named = [field for field in _KINDS if field in fields]
    if not named:
        others = "group, user, all=1, upstream"
        raise InvalidForm(f"the field client_id is missing (or {others}); {_HINT}")
    if len(named) > 1:
        raise InvalidForm(f"{' and '.join(named)} exclude each other; send one of them")
    [field] = named
    if field == "all" and fields["all"] != b"1":
        raise InvalidForm("all has one value, all=1")
    message = fields["message"]
    rule = _history_rule(fields["history"], field) if "history" in fields else None
    try:
        # A text message is UTF-8, or browsers drop the connection: RFC 6455, section 8.1.
        message.decode()
        names = () if field == "all" else (fields[field].decode(),)
    except UnicodeDecodeError:
        raise InvalidForm("the form's text is not UTF-8") from None
    return Send(Target(_KINDS[field], names), message, False, rule)


def _history_rule(text: bytes, field: str) -> HistoryRule:
    if field != "group":
        raise InvalidForm("history: only messages to a group have one")
    try:
        return parse_rule(text.decode())
    except UnicodeDecodeError:
        raise InvalidForm("the form's text is not UTF-8") from None
    except ValueError as error:
        raise InvalidForm(f"history: expected {error}") from None


def problem_of(push: Send, result: Result) -> HttpError | None:
    """Return the error response for a push that was not delivered; ``None`` if it was."""
    if result.is_unknown:
        return HttpError(503, f"Delivered to {result.delivered}; {result.error}")
    if is_undelivered(push, result):
        if push.to.kind == "upstream":
            return HttpError(404, f"{result.error}".capitalize())
        return HttpError(404, f"{push.to.kind.capitalize()} not found")
    return None


class SendResource(Resource):
    """Takes ``message`` and ``client_id`` as a form, as a JSON object or in the query.

    In place of ``client_id`` there may be ``group``, ``user``, ``all=1`` or ``upstream``; with
    ``group``, there may be a ``history``. Other fields, like ``type``, are ignored.

    :param slices: reads long forms.
    :param limit: bytes that a request's body may have.
    """

    def __init__(
        self,
        access: AccessControl,
        commander: Commander,
        slices: TimeSlices,
        metrics: Metrics,
        limit: int,
    ) -> None:
        super().__init__()
        self._access = access
        self._commander = commander
        self._slices = slices
        self._metrics = metrics
        self._limit = limit

    def getChild(self, path: bytes, request: Request) -> Resource:
        """Return a resource that is not found."""
        return NotFoundResource(self._access)

    def render(self, request: Request) -> bytes | int:
        """Respond in plain text, to any method."""
        try:
            response = self._begin(request)
        except (HttpError, InvalidForm, TooManyJobs) as problem:
            return self._refuse(problem, request)
        if isinstance(response, Deferred):
            return respond_later(request, response.addErrback(self._refuse_later, request))
        return response

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
        if self._slices.is_full:
            raise TooManyJobs
        return self._slices.run(reading).addCallback(self._push, request)

    def _push(self, fields: dict[str, bytes], request: Request) -> bytes | Deferred[bytes]:
        push = read_push(fields)
        result = self._commander.push(push)
        if isinstance(result, Deferred):
            return result.addCallback(self._respond, push, request)
        return self._respond(result, push, request)

    def _respond(self, result: Result, push: Send, request: Request) -> bytes:
        problem = problem_of(push, result)
        if problem is not None:
            return self._refuse(problem, request, push.to.kind)
        for each in result.positions:
            request.setHeader("Phpgw-Offset", str(each.position.offset))
            request.setHeader("Phpgw-Epoch", each.position.epoch)
        return text_body(request, "Message sent")

    def _refuse(self, problem: BaseException, request: Request, target: str = "unknown") -> bytes:
        self._metrics.pushes_refused[target] += 1
        return _refusal(problem).as_text(request)

    def _refuse_later(self, failure: Failure, request: Request) -> bytes:
        failure.trap(HttpError, InvalidForm, TooManyJobs, JobsStopped)
        assert failure.value is not None
        return self._refuse(failure.value, request)


def _refusal(problem: BaseException) -> HttpError:
    if isinstance(problem, HttpError):
        return problem
    if isinstance(problem, TooManyJobs):
        return busy()
    if isinstance(problem, JobsStopped):
        return stopping()
    return HttpError(400, f"Bad Request: {problem}")
