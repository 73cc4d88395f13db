"""``POST /hold`` and ``POST /release``: let events wait while a deployment reloads PHP-FPM."""

from functools import partial

from twisted.internet.defer import Deferred
from twisted.web.server import Request

from phpgw.api.access import AccessControl
from phpgw.api.json_resource import JsonResource, query_parameters, read_seconds
from phpgw.relay.errors import Draining
from phpgw.relay.hold_control import HoldControl, HoldState
from phpgw.web.response import HttpError, json_body

_DEFAULT_WAIT = 10.0


class HoldResource(JsonResource):
    """``POST /hold``: holds events, and responds when none runs or the wait is over."""

    def __init__(self, access: AccessControl, control: HoldControl) -> None:
        super().__init__(access)
        self._control = control

    def render_POST(self, request: Request) -> Deferred[bytes]:
        """Hold events for some seconds."""
        parameters = query_parameters(request, "seconds", "wait")
        longest = self._control.longest
        seconds = min(read_seconds(parameters, "seconds", longest), longest)
        wait = min(read_seconds(parameters, "wait", _DEFAULT_WAIT), longest)
        if not seconds:
            raise HttpError(400, "seconds: expected more than 0")
        try:
            held = self._control.hold(seconds, wait)
        except Draining:
            raise HttpError(503, "the gateway is about to stop") from None
        return held.addCallback(partial(_respond, request))


class ReleaseResource(JsonResource):
    """``POST /release``: ends a hold, and responds at once."""

    def __init__(self, access: AccessControl, control: HoldControl) -> None:
        super().__init__(access)
        self._control = control

    def render_POST(self, request: Request) -> Deferred[bytes]:
        """Let held events run."""
        query_parameters(request)
        return self._control.release().addCallback(partial(_respond, request))


def _respond(request: Request, state: HoldState) -> bytes:
    if state.problem is not None:
        raise HttpError(503, state.problem)
    values = {
        "held": state.is_held,
        "working": state.running,
        "seconds": round(state.seconds_left, 3),
    }
    return json_body(request, values)
