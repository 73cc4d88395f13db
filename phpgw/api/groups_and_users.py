"""``/groups`` and ``/users``: the groups and users that have clients, and the clients of one."""

from functools import partial

from twisted.internet.defer import Deferred
from twisted.web.resource import Resource
from twisted.web.server import Request

from phpgw.api.access import AccessControl
from phpgw.api.clients import client_object
from phpgw.api.history import HistoryResource
from phpgw.api.json_resource import JsonResource, query_parameters, read_name
from phpgw.api.pagination import page_response, read_page, read_search
from phpgw.history.interface import History
from phpgw.hub.directory import ClientInfo, Directory, Kind, NameCount, Page
from phpgw.time_slices import TimeSlices
from phpgw.web.response import HttpError


class NameListResource(JsonResource):
    """A page of all groups or all users, or of a ``search``, each with its number of clients."""

    def __init__(
        self, access: AccessControl, directory: Directory, slices: TimeSlices, kind: Kind
    ) -> None:
        super().__init__(access)
        self._directory = directory
        self._slices = slices
        self._kind = kind

    def getChild(self, path: bytes, request: Request) -> Resource:
        """Return the resource of one group or user."""
        name = read_name(path)
        return MembersResource(self.access, self._directory, self._slices, self._kind, name)

    def render_GET(self, request: Request) -> bytes | Deferred[bytes]:
        """Respond with the page."""
        parameters = query_parameters(request, "limit", "after", "search")
        query = read_page(parameters)
        page = self._directory.names(query, self._kind, read_search(parameters))
        return page_response(request, self._slices, f"{self._kind}s", page, self._object)

    def _object(self, count: NameCount) -> dict[str, object]:
        return {self._kind: count.name, "clients": count.clients}


class GroupListResource(NameListResource):
    """A page of all groups; below it, each group has its clients and its history."""

    def __init__(
        self, access: AccessControl, directory: Directory, slices: TimeSlices, history: History
    ) -> None:
        super().__init__(access, directory, slices, "group")
        self._history = history

    def getChild(self, path: bytes, request: Request) -> Resource:
        """Return the resource of one group."""
        group = super().getChild(path, request)
        history = HistoryResource(self.access, self._history, self._slices, read_name(path))
        group.putChild(b"history", history)
        return group


class MembersResource(JsonResource):
    """A page of the clients of one group or one user.

    :param name: of the group or the user, which need not have clients.
    """

    def __init__(
        self, access: AccessControl, directory: Directory, slices: TimeSlices, kind: Kind, name: str
    ) -> None:
        super().__init__(access)
        self._directory = directory
        self._slices = slices
        self._kind = kind
        self._name = name

    def render_GET(self, request: Request) -> bytes | Deferred[bytes]:
        """Respond with the page."""
        query = read_page(query_parameters(request, "limit", "after"))
        page = self._directory.clients(query, **{self._kind: self._name})
        if isinstance(page, Deferred):
            return page.addCallback(partial(self._respond, request))
        return self._respond(request, page)

    def _respond(self, request: Request, page: Page[ClientInfo]) -> bytes | Deferred[bytes]:
        if not page.total:
            raise HttpError(404, f"{self._kind} not found")
        return page_response(request, self._slices, "clients", page, client_object)
