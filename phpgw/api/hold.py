"""``POST /hold`` and ``POST /release``: let events wait while a deployment reloads PHP-FPM."""

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.server import NOT_DONE_YET, Request

from phpgw.api.access import AccessControl
from phpgw.api.json_resource import JsonResource, query_parameters, read_seconds
from phpgw.relay.errors import Draining
from phpgw.relay.hold import Hold
from phpgw.web.response import HttpError, json_body

_DEFAULT_WAIT = 10.0


class HoldResource(JsonResource):
    """``POST /hold``: holds events, and responds when none runs or the wait is over."""

    def __init__(self, access: AccessControl, hold: Hold) -> None:
        super().__init__(access)
        self._hold = hold

    def render_POST(self, request: Request) -> int:
        """Hold events for some seconds."""
        parameters = query_parameters(request, "seconds", "wait")
        longest = self._hold.longest
        seconds = min(read_seconds(parameters, "seconds", longest), longest)
        wait = min(read_seconds(parameters, "wait", _DEFAULT_WAIT), longest)
        if not seconds:
            raise HttpError(400, "seconds: expected more than 0")
        try:
            self._hold.begin(seconds)
        except Draining:
            raise HttpError(503, "the gateway is about to stop") from None
        self._respond_when_none_running(request, wait)
        return NOT_DONE_YET

    def _respond_when_none_running(self, request: Request, wait: float) -> None:
        none_running = self._hold.when_none_running(wait)
        is_disconnected = False

        def cancel(reason: Failure) -> None:
            nonlocal is_disconnected
            is_disconnected = True
            none_running.cancel()

        def respond(outcome: object) -> None:
            if not is_disconnected:
                body = _state(request, self._hold)
                request.setHeader("Content-Length", str(len(body)))
                request.write(body)
                request.finish()

        finished: Deferred[None] = request.notifyFinish()
        finished.addErrback(cancel)
        none_running.addBoth(respond)


class ReleaseResource(JsonResource):
    """``POST /release``: ends a hold, and responds at once."""

    def __init__(self, access: AccessControl, hold: Hold) -> None:
        super().__init__(access)
        self._hold = hold

    def render_POST(self, request: Request) -> bytes:
        """Let held events run."""
        query_parameters(request)
        self._hold.release()
        return _state(request, self._hold)


def _state(request: Request, hold: Hold) -> bytes:
    state = {
        "held": hold.is_held,
        "working": hold.running,
        "seconds": round(hold.seconds_left, 3),
    }
    return json_body(request, state)
