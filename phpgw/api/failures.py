"""``GET /failures``: the last failures, each with why it happened and what helps."""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.web.server import Request

from phpgw.api.access import AccessControl
from phpgw.api.json_resource import JsonResource, query_parameters
from phpgw.relay.failure_list import FailureList
from phpgw.web.response import json_body

Failures = Callable[[], FailureList | Deferred[FailureList]]
"""Returns the last failures, at once or later."""


class FailuresResource(JsonResource):
    """``GET /failures``: the last failures, newest first."""

    def __init__(self, access: AccessControl, failures: Failures) -> None:
        super().__init__(access)
        self._failures = failures

    def render_GET(self, request: Request) -> bytes | Deferred[bytes]:
        """Respond with the failures."""
        query_parameters(request)

        def respond(failures: FailureList) -> bytes:
            return json_body(request, {"failures": failures.records})

        found = self._failures()
        return found.addCallback(respond) if isinstance(found, Deferred) else respond(found)
