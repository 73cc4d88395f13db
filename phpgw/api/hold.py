"""``POST /hold`` and ``POST /release``: events wait while a deployment reloads PHP-FPM."""

import re
from collections.abc import Mapping

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.server import NOT_DONE_YET, Request

from phpgw.api.access import Access
from phpgw.api.json_resource import JsonResource, query_parameters
from phpgw.relay.errors import Draining
from phpgw.relay.hold import Hold
from phpgw.web.response import HttpError, json_body

# As in JSON.
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_USUAL_WAIT = 10.0


class HoldResource(JsonResource):
    """Answers once PHP works on nothing, or later than that can be waited for."""

    def __init__(self, access: Access, hold: Hold) -> None:
        super().__init__(access)
        self._hold = hold

    def render_POST(self, request: Request) -> int:
        parameters = query_parameters(request, "seconds", "wait")
        longest = self._hold.longest
        seconds = min(_read_seconds(parameters, "seconds", longest), longest)
        wait = min(_read_seconds(parameters, "wait", _USUAL_WAIT), longest)
        if not seconds:
            raise HttpError(400, "seconds: expected more than 0")
        try:
            self._hold.begin(seconds)
        except Draining:
            raise HttpError(503, "the gateway is about to stop") from None
        self._answer_once_still(request, wait)
        return NOT_DONE_YET

    def _answer_once_still(self, request: Request, wait: float) -> None:
        still = self._hold.when_none_running(wait)
        is_gone = False

        def left(reason: Failure) -> None:
            nonlocal is_gone
            is_gone = True
            still.cancel()

        def answer(outcome: object) -> None:
            if not is_gone:
                body = _state(request, self._hold)
                request.setHeader("Content-Length", str(len(body)))
                request.write(body)
                request.finish()

        gone: Deferred[None] = request.notifyFinish()
        gone.addErrback(left)
        still.addBoth(answer)


class ReleaseResource(JsonResource):
    """Answers at once; what is let go takes its time."""

    def __init__(self, access: Access, hold: Hold) -> None:
        super().__init__(access)
        self._hold = hold

    def render_POST(self, request: Request) -> bytes:
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


def _read_seconds(parameters: Mapping[str, str], name: str, usual: float) -> float:
    text = parameters.get(name)
    if text is None:
        return usual
    if not _NUMBER.fullmatch(text):
        raise HttpError(400, f"{name}: expected a number of seconds, like 30 or 2.5")
    return float(text)
