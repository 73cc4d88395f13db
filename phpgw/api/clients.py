"""``/clients``: who is connected, and the way to send somebody off."""

from collections.abc import Sequence
from datetime import UTC, datetime

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.web.http import NO_CONTENT
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from phpgw.api.access import Access
from phpgw.api.json_resource import JsonResource, query_parameters, read_name
from phpgw.api.pagination import Page, answer_page, entry, page_text, read_page
from phpgw.hub.client import Client
from phpgw.hub.command_fields import close_code, close_reason
from phpgw.hub.commands import Close, InvalidCommand, Target
from phpgw.hub.dispatch import Dispatcher
from phpgw.hub.registry import Registry
from phpgw.log_limit import line_limit
from phpgw.time_slices import Steps, pieces
from phpgw.web.addresses import peer_name
from phpgw.web.response import HttpError, json_body

# How many clients are looked at in a step.
_PIECE = 2000
_NOT_FOUND = "client not found"


def described(client: Client) -> dict[str, object]:
    """What the API tells of a client: nothing by which somebody could act in its name."""
    identity, handshake = client.identity, client.handshake
    headers = dict(handshake.headers)
    return {
        "client_id": client.id,
        "user": identity.user,
        "groups": sorted(client.groups),
        "state": identity.state,
        "connected_at": _iso_8601(client.connected_at),
        # Not the query, which is where pages put a token that a WebSocket has no header for.
        "path": _text(handshake.path),
        "address": handshake.peer_host or None,
        "origin": _text(headers.get(b"Origin")),
        "user_agent": _text(headers.get(b"User-Agent")),
    }


def clients_page(registry: Registry, page: Page, ids: Sequence[str]) -> Steps[bytes]:
    """Return a page of the clients that have these ids."""
    part, following = yield from page.of(ids)
    entries = []
    for client_id in part:
        client = registry.find(client_id)
        if client is not None:
            entries.append(entry(described(client)))
        yield
    return page_text("clients", entries, following, len(ids))


def ids_of(clients: Sequence[Client], user: str | None = None) -> Steps[list[str]]:
    """Return the ids of these clients, or of those among them that are a user's."""
    ids: list[str] = []
    for piece in pieces(clients, _PIECE):
        ids += [each.id for each in piece if user is None or each.identity.user == user]
        yield
    return ids


def _iso_8601(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")


class ClientsResource(JsonResource):
    """``GET /clients``: a page of them, with ``group`` or ``user`` of those alone."""

    def __init__(self, access: Access, registry: Registry, dispatcher: Dispatcher) -> None:
        super().__init__(access)
        self._registry = registry
        self._dispatcher = dispatcher

    def getChild(self, path: bytes, request: Request) -> Resource:
        return ClientResource(self.access, self._registry, self._dispatcher, read_name(path))

    def render_GET(self, request: Request) -> bytes | Deferred[bytes]:
        parameters = query_parameters(request, "limit", "after", "group", "user")
        page = read_page(parameters)
        group, user = parameters.get("group"), parameters.get("user")
        registry = self._registry
        if group is not None:
            clients = registry.groups.members(group)
        elif user is not None:
            clients = registry.users.members(user)
        else:
            clients = list(registry)
        return answer_page(
            request, self._dispatcher.slices, len(clients), self._page(page, clients, user)
        )

    def _page(self, page: Page, clients: Sequence[Client], user: str | None) -> Steps[bytes]:
        ids = yield from ids_of(clients, user)
        return (yield from clients_page(self._registry, page, ids))


class ClientResource(JsonResource):
    """``/clients/ID``: one client, be it connected or not."""

    log = Logger(observer=line_limit)

    def __init__(
        self, access: Access, registry: Registry, dispatcher: Dispatcher, client_id: str
    ) -> None:
        super().__init__(access)
        self._registry = registry
        self._dispatcher = dispatcher
        self._id = client_id

    def render_GET(self, request: Request) -> bytes:
        query_parameters(request)
        client = self._registry.find(self._id)
        if client is None:
            raise HttpError(404, _NOT_FOUND)
        return json_body(request, described(client))

    def render_DELETE(self, request: Request) -> int:
        parameters = query_parameters(request, "code", "reason")
        try:
            code = close_code(parameters.get("code", "1000"))
            reason = close_reason(parameters.get("reason", ""))
        except InvalidCommand as error:
            raise HttpError(400, str(error)) from None
        close = Close(Target("client", (self._id,)), code, reason)
        [result] = self._dispatcher.run_now([close])
        if result.error is not None:
            raise HttpError(404, result.error)
        self.log.info(
            "{peer} has closed client {client_id}: code {code}",
            peer=peer_name(request.getClientAddress()) or "This machine",
            client_id=self._id,
            code=code,
        )
        # Without a Content-Length: RFC 9110, section 8.6.
        request.setResponseCode(NO_CONTENT)
        request.finish()
        return NOT_DONE_YET
