"""The base of the API's resources that speak JSON."""

import re
from collections.abc import Callable, Mapping

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Request

from phpgw.api.access import AccessControl
from phpgw.api.forms import InvalidForm, url_encoded_fields
from phpgw.hub.directory import NotKnown
from phpgw.time_slices import JobsStopped, TooManyJobs
from phpgw.web.response import HttpError, busy, not_known, respond_later, stopping

_Renderer = Callable[[Request], bytes | int | Deferred[bytes]]
# A number as in JSON.
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_METHODS = ("GET", "HEAD", "POST", "DELETE")


class JsonResource(Resource):
    """A resource for those who may use the API.

    Subclasses have methods like ``render_GET``, which return the response's body, or a Deferred
    with it. A :exc:`HttpError` that they raise, or that the Deferred fails with, becomes the
    response. ``HEAD`` is served where ``GET`` is.
    """

    def __init__(self, access: AccessControl) -> None:
        super().__init__()
        self.access = access

    def getChild(self, path: bytes, request: Request) -> Resource:
        """Return a resource that is not found."""
        return NotFoundResource(self.access)

    def render(self, request: Request) -> bytes | int:
        """Respond in JSON, to any method."""
        try:
            self.access.check(request)
            response = self._renderer(request)(request)
        except HttpError as refused:
            return self.refuse(request, refused)
        except TooManyJobs:
            return self.refuse(request, busy())
        if isinstance(response, Deferred):
            return respond_later(request, response.addErrback(self._refuse_later, request))
        return response

    def _refuse_later(self, failure: Failure, request: Request) -> bytes:
        if failure.check(JobsStopped):
            return self.refuse(request, stopping())
        if failure.check(TooManyJobs):
            return self.refuse(request, busy())
        if failure.check(NotKnown):
            return self.refuse(request, not_known(failure.getErrorMessage()))
        failure.trap(HttpError)
        assert isinstance(failure.value, HttpError)
        return self.refuse(request, failure.value)

    def refuse(self, request: Request, refused: HttpError) -> bytes:
        """Return the body of a refusal; subclasses may count it."""
        return refused.as_json(request)

    def _renderer(self, request: Request) -> _Renderer:
        found = {name: self._renderer_of(name) for name in _METHODS}
        renderer = found.get(request.method.decode("latin-1"))
        if renderer is not None:
            return renderer
        allowed = ", ".join(name for name, each in found.items() if each is not None)
        raise HttpError(405, f"this can be asked with {allowed}", {"Allow": allowed})

    def _renderer_of(self, method: str) -> _Renderer | None:
        # Not the render_HEAD of twisted.web, which is there without a render_GET, too.
        name = "GET" if method == "HEAD" else method
        return getattr(self, f"render_{name}", None)


class NotFoundResource(JsonResource):
    """A path that does not exist: 404 for any method."""

    def _renderer(self, request: Request) -> _Renderer:
        raise HttpError(404, "there is nothing here")


def read_name(segment: bytes) -> str:
    """Decode the name of a client, a group or a user in a path, percent-decoded already.

    What is not UTF-8 becomes a text that cannot be a name.
    """
    return segment.decode(errors="surrogateescape")


def query_parameters(request: Request, *known: str) -> dict[str, str]:
    """Return the parameters in the request's query.

    :param known: the names that parameters may have.
    :raises HttpError: if there is another one, or a value that is not UTF-8.
    """
    try:
        fields = url_encoded_fields(request.uri.partition(b"?")[2])
    except InvalidForm as error:
        raise HttpError(400, f"the query cannot be read: {error}") from None
    parameters = {}
    for name, value in fields.items():
        if name not in known:
            there_are = ", ".join(known) or "none"
            raise HttpError(400, f"{name[:50]!a}: no such parameter; there are: {there_are}")
        try:
            parameters[name] = value.decode()
        except UnicodeDecodeError:
            raise HttpError(400, f"{name}: it is not UTF-8") from None
    return parameters


def read_seconds(parameters: Mapping[str, str], name: str, default: float) -> float:
    """Return the seconds in a parameter.

    :raises HttpError: if it is no number.
    """
    text = parameters.get(name)
    if text is None:
        return default
    if not _NUMBER.fullmatch(text):
        raise HttpError(400, f"{name}: expected a number of seconds, like 30 or 2.5")
    return float(text)
