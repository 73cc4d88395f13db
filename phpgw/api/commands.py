"""``POST /commands``: batches."""

from functools import partial

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.server import Request

from phpgw.api.access import AccessControl
from phpgw.api.batch import Batches
from phpgw.api.json_resource import JsonResource, query_parameters
from phpgw.hub.commands import InvalidCommand
from phpgw.metrics import Metrics
from phpgw.web.request import is_too_large
from phpgw.web.response import HttpError, json_text


class CommandsResource(JsonResource):
    """Takes a JSON list of commands, of any content type but a multipart form.

    curl calls it a form unless told otherwise; a multipart form is never meant to be JSON.

    :param limit: bytes that a request's body may have.
    """

    def __init__(
        self, access: AccessControl, batches: Batches, metrics: Metrics, limit: int
    ) -> None:
        super().__init__(access)
        self._batches = batches
        self._metrics = metrics
        self._limit = limit

    def render_POST(self, request: Request) -> bytes | Deferred[bytes]:
        """Run the batch, and respond with its results."""
        query_parameters(request)
        if is_too_large(request):
            raise HttpError(413, f"the body may have {self._limit} bytes at most (--max-push-size)")
        media_type = (request.getHeader(b"Content-Type") or b"").lower()
        if media_type.startswith(b"multipart/"):
            raise HttpError(415, "expected application/json, not a multipart form")
        assert request.content is not None
        try:
            results = self._batches.run(request.content.read())
        except InvalidCommand as error:
            raise _refusal(error) from None
        if isinstance(results, Deferred):
            response = results.addCallback(partial(json_text, request))
            return response.addErrback(_refuse_invalid)
        return json_text(request, results)

    def refuse(self, request: Request, refused: HttpError) -> bytes:
        """Count the refusal, and return the response's body."""
        self._metrics.pushes_refused["batch"] += 1
        return super().refuse(request, refused)


def _refuse_invalid(failure: Failure) -> bytes:
    failure.trap(InvalidCommand)
    assert isinstance(failure.value, InvalidCommand)
    raise _refusal(failure.value)


def _refusal(error: InvalidCommand) -> HttpError:
    return HttpError(400, str(error), index=error.index, field=error.field)
