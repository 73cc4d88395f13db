"""``/clients``: pages of clients, and single clients, which can be disconnected."""

from datetime import UTC, datetime
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.web.http import NO_CONTENT
from twisted.web.resource import Resource
from twisted.web.server import Request

from phpgw.api.access import AccessControl
from phpgw.api.json_resource import JsonResource, query_parameters, read_name
from phpgw.api.pagination import page_response, read_page, read_search
from phpgw.hub.command_fields import close_code, close_reason
from phpgw.hub.commander import Commander, Result
from phpgw.hub.commands import Close, InvalidCommand, Target
from phpgw.hub.directory import ClientInfo, Directory
from phpgw.hub.recorded_events import Records, RecordsOf
from phpgw.log_limit import line_limit
from phpgw.time_slices import TimeSlices
from phpgw.web.addresses import peer_name
from phpgw.web.response import HttpError, json_body


def client_object(info: ClientInfo) -> dict[str, object]:
    """Return a client as the API describes it."""
    return {
        "client_id": info.client_id,
        "user": info.user,
        "groups": info.groups,
        "state": info.state,
        "connected_at": _iso_8601(info.connected_at),
        "path": _text(info.path),
        "address": info.address,
        "origin": _text(info.origin),
        "user_agent": _text(info.user_agent),
    }


def _iso_8601(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")


def _nothing_recorded(client_id: str, since: float) -> None:
    return None


def _client_response(request: Request, info: ClientInfo, events: Records | None) -> bytes:
    client = client_object(info)
    if events is not None:
        client["events"] = events
    return json_body(request, client)


class ClientsResource(JsonResource):
    """``GET /clients``: a page of all clients, of a ``group`` or a ``user``, or of a ``search``."""

    def __init__(
        self,
        access: AccessControl,
        directory: Directory,
        commander: Commander,
        slices: TimeSlices,
        recorded: RecordsOf | None = None,
    ) -> None:
        super().__init__(access)
        self._directory = directory
        self._commander = commander
        self._slices = slices
        self._recorded = recorded or _nothing_recorded

    def getChild(self, path: bytes, request: Request) -> Resource:
        """Return the resource of one client."""
        client_id = read_name(path)
        return ClientResource(
            self.access, self._directory, self._commander, client_id, self._recorded
        )

    def render_GET(self, request: Request) -> bytes | Deferred[bytes]:
        """Respond with the page."""
        parameters = query_parameters(request, "limit", "after", "group", "user", "search")
        page = self._directory.clients(
            read_page(parameters),
            parameters.get("group"),
            parameters.get("user"),
            read_search(parameters),
        )
        return page_response(request, self._slices, "clients", page, client_object)


class ClientResource(JsonResource):
    """``/clients/ID``: one client, which need not be connected."""

    log = Logger(observer=line_limit)

    def __init__(
        self,
        access: AccessControl,
        directory: Directory,
        commander: Commander,
        client_id: str,
        recorded: RecordsOf | None = None,
    ) -> None:
        super().__init__(access)
        self._directory = directory
        self._commander = commander
        self._id = client_id
        self._recorded = recorded or _nothing_recorded

    def render_GET(self, request: Request) -> bytes | Deferred[bytes]:
        """Respond with what is known of the client."""
        query_parameters(request)
        found = self._directory.find(self._id)
        if isinstance(found, Deferred):
            return found.addCallback(partial(self._describe, request))
        return self._describe(request, found)

    def _describe(self, request: Request, info: ClientInfo | None) -> Any:
        if info is None:
            raise HttpError(404, "client not found")
        events = self._recorded(self._id, info.connected_at)
        respond = partial(_client_response, request, info)
        return events.addCallback(respond) if isinstance(events, Deferred) else respond(events)

    def render_DELETE(self, request: Request) -> Deferred[bytes]:
        """Close the client's connection."""
        parameters = query_parameters(request, "code", "reason")
        try:
            code = close_code(parameters.get("code", "1000"))
            reason = close_reason(parameters.get("reason", ""))
        except InvalidCommand as error:
            raise HttpError(400, str(error)) from None
        result = self._commander.run(Close(Target("client", (self._id,)), code, reason))
        later = result if isinstance(result, Deferred) else succeed(result)
        return later.addCallback(self._closed, request, code)

    def _closed(self, result: Result, request: Request, code: int) -> bytes:
        if result.error is not None:
            raise HttpError(503 if result.is_unknown else 404, result.error)
        self.log.info(
            "{peer} has closed client {client_id}: code {code}",
            peer=peer_name(request.getClientAddress()) or "This machine",
            client_id=self._id,
            code=code,
        )
        request.setResponseCode(NO_CONTENT)
        return b""
