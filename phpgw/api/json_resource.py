"""What all paths of the API have in common that speak JSON."""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Request

from phpgw.api.access import Access
from phpgw.api.forms import InvalidForm, url_encoded_fields
from phpgw.time_slices import JobsStopped
from phpgw.web.response import HttpError, respond_later, stopping

_Renderer = Callable[[Request], bytes | int | Deferred[bytes]]
_METHODS = ("GET", "HEAD", "POST", "DELETE")


class JsonResource(Resource):
    """A path for those who may use the API.

    Subclasses have ``render_GET`` or the like, whose answer may also come later; what these raise,
    or fail with, as :exc:`HttpError` becomes the answer. ``HEAD`` is there where ``GET`` is.
    """

    def __init__(self, access: Access) -> None:
        super().__init__()
        self.access = access

    def getChild(self, path: bytes, request: Request) -> Resource:
        return NothingHere(self.access)

    def render(self, request: Request) -> bytes | int:
        """Answer in JSON, whatever the request."""
        try:
            self.access.check(request)
            answer = self._renderer(request)(request)
        except HttpError as refused:
            return self.refuse(request, refused)
        if isinstance(answer, Deferred):
            return respond_later(request, answer.addErrback(self._refuse_later, request))
        return answer

    def _refuse_later(self, failure: Failure, request: Request) -> bytes:
        if failure.check(JobsStopped):
            return self.refuse(request, stopping())
        failure.trap(HttpError)
        assert isinstance(failure.value, HttpError)
        return self.refuse(request, failure.value)

    def refuse(self, request: Request, refused: HttpError) -> bytes:
        """Say no; to be extended by those who count it."""
        return refused.as_json(request)

    def _renderer(self, request: Request) -> _Renderer:
        found = {name: self._renderer_of(name) for name in _METHODS}
        renderer = found.get(request.method.decode("latin-1"))
        if renderer is not None:
            return renderer
        allowed = ", ".join(name for name, each in found.items() if each is not None)
        raise HttpError(405, f"this can be asked with {allowed}", {"Allow": allowed})

    def _renderer_of(self, method: str) -> _Renderer | None:
        # twisted.web's own render_HEAD is there where GET is not, too.
        name = "GET" if method == "HEAD" else method
        return getattr(self, f"render_{name}", None)


class NothingHere(JsonResource):
    """A path that there is not."""

    def _renderer(self, request: Request) -> _Renderer:
        raise HttpError(404, "there is nothing here")


def read_name(segment: bytes) -> str:
    """A client's, a group's or a user's name from the URL, percent-decoded already.

    What is not UTF-8 becomes a text that is nobody's name.
    """
    return segment.decode(errors="surrogateescape")


def query_parameters(request: Request, *known: str) -> dict[str, str]:
    """Those in the request's URL.

    :param known: the names that there are.
    :raises HttpError: if there is another one, or a text that is not UTF-8.
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
