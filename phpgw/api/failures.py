"""``GET /failures``: the last failures, each with why it happened and what helps."""

from twisted.web.server import Request

from phpgw.api.access import AccessControl
from phpgw.api.json_resource import JsonResource, query_parameters
from phpgw.relay.failures import FailureEntry, FailureLog
from phpgw.web.response import json_body


class FailuresResource(JsonResource):
    """``GET /failures``: the last failures, newest first."""

    def __init__(self, access: AccessControl, failures: FailureLog) -> None:
        super().__init__(access)
        self._failures = failures

    def render_GET(self, request: Request) -> bytes:
        """Respond with the failures."""
        query_parameters(request)
        failures = [_failure_object(each) for each in self._failures.newest_first()]
        return json_body(request, {"failures": failures})


def _failure_object(entry: FailureEntry) -> dict[str, object]:
    identity = entry.event.identity
    return {
        "id": entry.id,
        "at": entry.at,
        "count": entry.count,
        "type": entry.event.type,
        "client_id": identity.client_id or None,
        "user": identity.user,
        "problem": entry.problem,
        "why": entry.advice.why,
        "fix": entry.advice.fix,
    }
