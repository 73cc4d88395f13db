"""Answering a request later than in the reactor's turn in which it came."""

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import NOT_DONE_YET, Request

from phpgw.log_limit import line_limit
from phpgw.web.response import Refused

_log = Logger(observer=line_limit)


def answer_later(request: Request, body: Deferred[bytes]) -> int:
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
        if request.method != b"HEAD":
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


def busy() -> Refused:
    """Return the refusal of what would have to wait for too much that is under way."""
    return Refused(503, "too much is under way; try again soon", {"Retry-After": "1"})


def stopping() -> Refused:
    """Return the refusal of what the gateway's end has interrupted."""
    return Refused(503, "the gateway has stopped before all of it was done")
