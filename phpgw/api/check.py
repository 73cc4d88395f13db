"""``/check``: what the gateway knows of itself, of PHP, and of the public way to it."""

import os
import pwd
import resource
from collections.abc import Callable
from typing import Any, cast

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Request

from phpgw import __version__
from phpgw.api.access import AccessControl
from phpgw.api.json_resource import JsonResource, query_parameters, read_name, read_seconds
from phpgw.backend.errors import BackendError
from phpgw.relay.check_event import CheckedReply
from phpgw.settings import Settings
from phpgw.settings.as_json import settings_as_json
from phpgw.web.public_probes import PublicProbes
from phpgw.web.response import HttpError, json_body

# Seconds between two check events.
_INTERVAL = 1.0
# Seconds for PHP to reply, with the time that the event waits.
_SCRIPT_TIMEOUT = 20.0
_MAX_BODY = 65536
_MAX_IDLE = 600.0
_SWITCH = {"on": True, "off": False}


@attrs.frozen(kw_only=True)
class GatewayReport:
    """The gateway's own facts, for the check.

    :ivar concurrency: how many events PHP gets at once.
    :ivar machine: see :func:`phpgw.process.machine_id.machine_id`.
    :ivar pid: the id of its process, or of the parent of its workers.
    :ivar workers: the number of processes that serve.
    """

    settings: Settings
    concurrency: int
    machine: str
    pid: int = attrs.field(factory=os.getpid)
    workers: int = 1

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON, with the process's credentials and limits as they are now."""
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        return {
            "version": __version__,
            "pid": self.pid,
            "workers": self.workers,
            "uid": os.geteuid(),
            "user": _user_name(os.geteuid()),
            "gids": sorted({os.getegid(), *os.getgroups()}),
            "machine": self.machine,
            "open_files": None if hard == resource.RLIM_INFINITY else hard,
            "concurrency": self.concurrency,
            "settings": settings_as_json(self.settings),
        }


@attrs.frozen(kw_only=True)
class CheckContext:
    """The parts of the gateway that a check looks at.

    :ivar ask: sends PHP a check event.
    :ivar probes: handshakes by the public way.
    """

    reactor: IReactorTime
    report: GatewayReport
    ask: Callable[[], Deferred[CheckedReply]]
    probes: PublicProbes


class CheckResource(JsonResource):
    """``POST /check``.

    PHP is asked once at a time, and once in a second, so that nobody can keep it busy with checks.
    """

    def __init__(self, access: AccessControl, context: CheckContext) -> None:
        super().__init__(access)
        self._context = context
        self._reactor = context.reactor
        self._report = context.report
        self._is_running = False
        self._next_at = float("-inf")

    def getChild(self, path: bytes, request: Request) -> Resource:
        return ProbeReportResource(self.access, self._context.probes, read_name(path))

    def render_POST(self, request: Request) -> bytes | Deferred[bytes]:
        """Respond with the report, after PHP has replied if it is to be asked."""
        parameters = query_parameters(request, "script", "token", "idle")
        asks_script = _read_switch(parameters, "script", "on")
        wants_token = _read_switch(parameters, "token", "off")
        idle = min(read_seconds(parameters, "idle", 0), _MAX_IDLE)
        if asks_script:
            self._count_check()
        report = self._report.as_json()
        if wants_token:
            report["token"] = self._context.probes.expect(idle).token
        if not asks_script:
            return json_body(request, report)
        return self._ask_script(request, report)

    def _count_check(self) -> None:
        """Refuse the check if PHP is asked already, or was asked just now."""
        now = self._reactor.seconds()
        if self._is_running or now < self._next_at:
            raise HttpError(
                429, "another check runs, or has just run; try again soon", {"Retry-After": "1"}
            )
        self._next_at = now + _INTERVAL

    def _ask_script(self, request: Request, report: dict[str, Any]) -> Deferred[bytes]:
        self._is_running = True
        asked = self._context.ask().addTimeout(_SCRIPT_TIMEOUT, cast(Any, self._reactor))

        def respond(outcome: CheckedReply | Failure) -> bytes:
            self._is_running = False
            return json_body(request, {**report, "script": self._describe(outcome)})

        return asked.addBoth(respond)

    def _describe(self, outcome: CheckedReply | Failure) -> dict[str, Any]:
        """Return the reply, or why there is none, as JSON."""
        path = self._report.settings.php_script
        if isinstance(outcome, Failure):
            return {"path": path, "error": _describe_failure(outcome)}
        head, body = outcome.reply.head, outcome.reply.body
        return {
            "path": path,
            "seconds": round(outcome.seconds, 6),
            "status": head.status,
            "media_type": head.media_type.decode("latin-1"),
            "location": b"".join(head.values(b"location")[:1]).decode("latin-1"),
            "size": len(body),
            "body": body[:_MAX_BODY].decode("latin-1"),
        }


class ProbeReportResource(JsonResource):
    """``GET /check/TOKEN``: what the gateway has seen of a handshake by the public way."""

    def __init__(self, access: AccessControl, probes: PublicProbes, token: str) -> None:
        super().__init__(access)
        self._probes = probes
        self._token = token

    def render_GET(self, request: Request) -> bytes:
        """Respond with the handshake; with ``null`` if it has not come."""
        query_parameters(request)
        probe = self._probes.find(self._token)
        if probe is None:
            raise HttpError(404, "no check has this token, or it was too long ago")
        return json_body(request, {"handshake": probe.report})


def _describe_failure(failure: Failure) -> dict[str, str]:
    if failure.check(DeferredTimeoutError):
        text = f"PHP has not replied within {_SCRIPT_TIMEOUT:g} s, with the time in the queue"
        return {"kind": "BackendTimeout", "text": text}
    kind = type(failure.value).__name__ if failure.check(BackendError) else "BackendError"
    return {"kind": kind, "text": failure.getErrorMessage()}


def _read_switch(parameters: dict[str, str], name: str, default: str) -> bool:
    text = parameters.get(name, default)
    if text not in _SWITCH:
        raise HttpError(400, f"{name}: expected on or off")
    return _SWITCH[text]


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
