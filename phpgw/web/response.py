"""HTTP responses in plain text and JSON: at once, later, or for an error."""

import json
from collections.abc import Mapping

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import NO_CONTENT
from twisted.web.server import NOT_DONE_YET, Request

from phpgw.log_limit import line_limit

_log = Logger(observer=line_limit)

_NO_HEADERS: Mapping[str, str] = {}


class HttpError(Exception):
    """A request that gets an error response. The text says why, and what would help.

    :ivar status: the response's status code.
    :ivar headers: additional headers of the response.
    :ivar details: additional fields of a JSON response.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        headers: Mapping[str, str] = _NO_HEADERS,
        **details: int | str | None,
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = headers
        self.details = {name: value for name, value in details.items() if value is not None}

    def as_text(self, request: Request) -> bytes:
        """Set the response's status and headers; return its body, one line of text."""
        self._set_status_and_headers(request)
        return text_body(request, f"{self}\n")

    def as_json(self, request: Request) -> bytes:
        """Set the response's status and headers; return its body, a JSON object with ``error``."""
        self._set_status_and_headers(request)
        return json_body(request, {"error": str(self), **self.details})

    def _set_status_and_headers(self, request: Request) -> None:
        request.setResponseCode(self.status)
        for name, value in self.headers.items():
            request.setHeader(name, value)


def text_body(request: Request, text: str) -> bytes:
    """Set the headers of a plain text response; return its body."""
    return body_of_type(request, "text/plain; charset=utf-8", text.encode())


def json_body(request: Request, value: object) -> bytes:
    """Set the headers of a JSON response; return its body, this value as JSON."""
    # Not ASCII only, since people read the output of curl.
    body = json.dumps(value, ensure_ascii=False).encode() + b"\n"
    return json_text(request, body)


def json_text(request: Request, text: bytes) -> bytes:
    """Set the headers of a JSON response; return its body, a text that is JSON already."""
    return body_of_type(request, "application/json", text)


def body_of_type(request: Request, kind: str, body: bytes) -> bytes:
    """Set the headers of a response with this content type; return its body."""
    request.setHeader("Content-Type", kind)
    if request.method != b"HEAD":
        return body
    request.setHeader("Content-Length", str(len(body)))
    return b""


def respond_later(request: Request, body: Deferred[bytes]) -> int:
    """Send a response's body once it is ready, unless the peer has disconnected by then.

    A failure becomes a response with status 500.

    :returns: what ``render`` of a resource has to return.
    """
    has_disconnected = False

    def note_disconnect(reason: Failure) -> None:
        nonlocal has_disconnected
        has_disconnected = True

    def send(data: bytes) -> None:
        if has_disconnected:
            return
        # Not with a 204: RFC 9110, section 8.6.
        if request.method != b"HEAD" and request.code != NO_CONTENT:
            request.setHeader("Content-Length", str(len(data)))
        request.write(data)
        request.finish()

    def fail(failure: Failure) -> None:
        if has_disconnected:
            _log.failure("A request failed whose client has left", failure)
        else:
            request.processingFailed(failure)

    finished: Deferred[None] = request.notifyFinish()
    finished.addErrback(note_disconnect)
    body.addCallback(send).addErrback(fail)
    return NOT_DONE_YET


def busy() -> HttpError:
    """Return a 503 for a request that cannot start, since too many jobs are running."""
    return HttpError(503, "too much is under way; try again soon", {"Retry-After": "1"})


def not_known(reason: str) -> HttpError:
    """Return a 503 for a question that another gateway would have to answer, which is not there."""
    return HttpError(503, f"it is not known: {reason}", {"Retry-After": "1"})


def stopping() -> HttpError:
    """Return a 503 for a request that the gateway's stop has interrupted."""
    return HttpError(503, "the gateway has stopped before all of it was done")
