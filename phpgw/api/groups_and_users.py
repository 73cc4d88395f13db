"""``/groups`` and ``/users``: what clients have in common."""

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.web.resource import Resource
from twisted.web.server import Request

from phpgw.api.access import Access
from phpgw.api.clients import clients_page, ids_of
from phpgw.api.json_resource import JsonResource, query_parameters, read_name
from phpgw.api.pagination import Page, answer_page, entry, page_text, read_page
from phpgw.hub.client import Client
from phpgw.hub.registry import Index, Registry
from phpgw.time_slices import Steps, TimeSlices
from phpgw.web.response import HttpError


class NameListResource(JsonResource):
    """All groups or all users, a page at a time, each with how many clients it has.

    :param kind: ``group`` or ``user``.
    """

    def __init__(
        self, access: Access, registry: Registry, slices: TimeSlices, index: Index, kind: str
    ) -> None:
        super().__init__(access)
        self._registry = registry
        self._slices = slices
        self._index = index
        self._kind = kind

    def getChild(self, path: bytes, request: Request) -> Resource:
        name = read_name(path)
        return MembersResource(
            self.access, self._registry, self._slices, self._index, self._kind, name
        )

    def render_GET(self, request: Request) -> bytes | Deferred[bytes]:
        page = read_page(query_parameters(request, "limit", "after"))
        names = list(self._index.names())
        return answer_page(request, self._slices, len(names), self._page(page, names))

    def _page(self, page: Page, names: Sequence[str]) -> Steps[bytes]:
        part, following = yield from page.of(names)
        entries = [entry({self._kind: name, "clients": self._index.size(name)}) for name in part]
        return page_text(f"{self._kind}s", entries, following, len(names))


class MembersResource(JsonResource):
    """The clients of one group or one user, a page at a time.

    :param name: the group's or the user's, be it there or not.
    """

    def __init__(
        self,
        access: Access,
        registry: Registry,
        slices: TimeSlices,
        index: Index,
        kind: str,
        name: str,
    ) -> None:
        super().__init__(access)
        self._registry = registry
        self._slices = slices
        self._index = index
        self._kind = kind
        self._name = name

    def render_GET(self, request: Request) -> bytes | Deferred[bytes]:
        page = read_page(query_parameters(request, "limit", "after"))
        clients = self._index.members(self._name)
        if not clients:
            raise HttpError(404, f"{self._kind} not found")
        return answer_page(request, self._slices, len(clients), self._page(page, clients))

    def _page(self, page: Page, clients: Sequence[Client]) -> Steps[bytes]:
        ids = yield from ids_of(clients)
        return (yield from clients_page(self._registry, page, ids))
