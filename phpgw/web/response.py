"""How a request is answered: in plain text or in JSON, and how one is refused."""

import json
from collections.abc import Mapping

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import NO_CONTENT
from twisted.web.server import NOT_DONE_YET, Request

from phpgw.log_limit import line_limit

_log = Logger(observer=line_limit)

_NONE: Mapping[str, str] = {}


class HttpError(Exception):
    """A request that is not served; the text says why and what would help.

    :ivar status: of the answer.
    :ivar headers: which the answer has beside the usual ones.
    :ivar details: what else programs may want to know.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        headers: Mapping[str, str] = _NONE,
        **details: int | str | None,
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = headers
        self.details = {name: value for name, value in details.items() if value is not None}

    def as_text(self, request: Request) -> bytes:
        """Set up the answer's status and headers; return its body, a line."""
        self._begin(request)
        return text_body(request, f"{self}\n")

    def as_json(self, request: Request) -> bytes:
        """Set up the answer's status and headers; return its body, an object with ``error``."""
        self._begin(request)
        return json_body(request, {"error": str(self), **self.details})

    def _begin(self, request: Request) -> None:
        request.setResponseCode(self.status)
        for name, value in self.headers.items():
            request.setHeader(name, value)


def text_body(request: Request, text: str) -> bytes:
    """Set up an answer's headers; return its body."""
    return _body(request, "text/plain; charset=utf-8", text.encode())


def json_body(request: Request, value: object) -> bytes:
    """Set up an answer's headers; return its body, this value as JSON."""
    # Not in ASCII alone, since people read what curl shows.
    body = json.dumps(value, ensure_ascii=False).encode() + b"\n"
    return json_text(request, body)


def json_text(request: Request, text: bytes) -> bytes:
    """Set up an answer's headers; return its body, which is JSON already."""
    return _body(request, "application/json", text)


def _body(request: Request, kind: str, body: bytes) -> bytes:
    request.setHeader("Content-Type", kind)
    if request.method != b"HEAD":
        return body
    request.setHeader("Content-Length", str(len(body)))
    return b""


def respond_later(request: Request, body: Deferred[bytes]) -> int:
    """Send a body once it is there, unless whoever asked for it has left by then.

    What it fails with becomes a 500.
    """
    is_gone = False

    def leave(reason: Failure) -> None:
        nonlocal is_gone
        is_gone = True

    def send(data: bytes) -> None:
        if is_gone:
            return
        # Not with a 204: RFC 9110, section 8.6.
        if request.method != b"HEAD" and request.code != NO_CONTENT:
            request.setHeader("Content-Length", str(len(data)))
        request.write(data)
        request.finish()

    def fail(failure: Failure) -> None:
        if is_gone:
            _log.failure("A request failed whose client has left", failure)
        else:
            request.processingFailed(failure)

    gone: Deferred[None] = request.notifyFinish()
    gone.addErrback(leave)
    body.addCallback(send).addErrback(fail)
    return NOT_DONE_YET


def busy() -> HttpError:
    """Return the refusal of what would have to wait for too much that is under way."""
    return HttpError(503, "too much is under way; try again soon", {"Retry-After": "1"})


def stopping() -> HttpError:
    """Return the refusal of what the gateway's end has interrupted."""
    return HttpError(503, "the gateway has stopped before all of it was done")
