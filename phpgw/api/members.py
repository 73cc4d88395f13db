"""``/groups`` and ``/users``: what clients have in common."""

from twisted.web.resource import Resource
from twisted.web.server import Request

from phpgw.api.access import Access
from phpgw.api.clients import clients_page
from phpgw.api.paging import read_page
from phpgw.api.resource import JsonResource, query_parameters, read_name
from phpgw.api.response import Refused, json_body
from phpgw.registry import Index, Registry


class NamesResource(JsonResource):
    """All groups or all users, a page at a time, each with how many clients it has.

    :param kind: ``group`` or ``user``.
    """

    def __init__(self, access: Access, registry: Registry, index: Index, kind: str) -> None:
        super().__init__(access)
        self._registry = registry
        self._index = index
        self._kind = kind

    def getChild(self, path: bytes, request: Request) -> Resource:
        name = read_name(path)
        return MembersResource(self.access, self._registry, self._index, self._kind, name)

    def render_GET(self, request: Request) -> bytes:
        page = read_page(query_parameters(request, "limit", "after"))
        names = self._index.names()
        part, following = page.of(names)
        entries = [{self._kind: name, "clients": self._index.size(name)} for name in part]
        return json_body(
            request, {f"{self._kind}s": entries, "next": following, "total": len(names)}
        )


class MembersResource(JsonResource):
    """The clients of one group or one user, a page at a time.

    :param name: the group's or the user's, be it there or not.
    """

    def __init__(
        self, access: Access, registry: Registry, index: Index, kind: str, name: str
    ) -> None:
        super().__init__(access)
        self._registry = registry
        self._index = index
        self._kind = kind
        self._name = name

    def render_GET(self, request: Request) -> bytes:
        page = read_page(query_parameters(request, "limit", "after"))
        ids = [client.id for client in self._index.members(self._name)]
        if not ids:
            raise Refused(404, f"{self._kind} not found")
        return json_body(request, clients_page(self._registry, page, ids))
