"""Questions about the connected clients, their groups and their users."""

from collections.abc import Sequence
from typing import Generic, Literal, Protocol, TypeVar

import attrs
from twisted.internet.defer import Deferred

from phpgw.hub.client import Client
from phpgw.hub.registry import Index, Registry
from phpgw.hub.search import NameSearch
from phpgw.time_slices import Steps, TimeSlices, TooManyJobs, chunks, run_to_completion

T = TypeVar("T")

# A page out of so many entries is found at once, which takes 3 ms at most.
MAX_AT_ONCE = 200
# How many entries are looked at in a step.
_PIECE = 2000
_SEARCHED_PIECE = 500


class NotKnown(Exception):
    """Another process would know it, and cannot be asked. The text says why."""


# What several clients can have in common.
Kind = Literal["group", "user"]


@attrs.frozen
class ClientInfo:
    """Public facts about a client: nothing that allows to act in its name.

    :ivar groups: in order.
    :ivar connected_at: in seconds since the epoch.
    :ivar path: of its handshake, without the query: pages put tokens there, as the browser's
        WebSocket has no headers for them.
    """

    client_id: str
    user: str | None
    groups: tuple[str, ...]
    state: str | None
    connected_at: float
    path: bytes
    address: str | None
    origin: bytes | None
    user_agent: bytes | None


@attrs.frozen
class NameCount:
    """A group or a user, and how many clients it has."""

    name: str
    clients: int


@attrs.frozen
class PageQuery:
    """A query for one page of a list.

    :ivar limit: how many entries, at most.
    :ivar after: the name after which the page begins; empty for the first page.
    """

    limit: int
    after: str = ""

    def select(self, names: Sequence[str]) -> Steps[tuple[list[str], str | None]]:
        """Return the page's names, in order, and the name after which the next page begins."""
        found: list[str] = []
        for piece in chunks(names, _PIECE):
            found += [name for name in piece if name > self.after]
            found.sort()
            del found[self.limit + 1 :]
            yield
        part = found[: self.limit]
        return part, part[-1] if len(found) > self.limit else None


@attrs.frozen
class Page(Generic[T]):
    """A page of a list, in the order of its entries' names.

    :ivar next: the name after which the next page begins; ``None`` if this is the last one.
    :ivar total: how many entries the whole list has.
    :ivar is_total_exact: whether it is not more than that.
    """

    entries: Sequence[T]
    next: str | None
    total: int
    is_total_exact: bool = True


class Directory(Protocol):
    """Tells which clients are connected, by id, by group and by user.

    Its methods return a value at once or, where many clients have to be looked at, or other
    processes asked, a Deferred: its callers take both. Values hold no reference to a client, and
    pages are in the order of names. :class:`LocalDirectory` knows the clients of this process.
    """

    def find(self, client_id: str) -> ClientInfo | Deferred[ClientInfo | None] | None:
        """Return the client with this id; ``None`` if none is connected."""

    def clients(
        self,
        query: PageQuery,
        group: str | None = None,
        user: str | None = None,
        search: str = "",
    ) -> Page[ClientInfo] | Deferred[Page[ClientInfo]]:
        """Return a page of the clients, by id.

        :param group: only clients in this group.
        :param user: only clients of this user.
        :param search: only clients that have this in their id, user, groups or address.
        :raises TooManyJobs: if there are many clients, and too many jobs run already.
        """

    def names(
        self, query: PageQuery, kind: Kind, search: str = ""
    ) -> Page[NameCount] | Deferred[Page[NameCount]]:
        """Return a page of all groups or of all users that have a client.

        :param search: only those that have this in their name.
        :raises TooManyJobs: if there are many, and too many jobs run already.
        """


class LocalDirectory(Directory):
    """The directory of the clients of this process.

    :param slices: looks through many clients.
    """

    def __init__(self, registry: Registry, slices: TimeSlices) -> None:
        self._registry = registry
        self._slices = slices

    def find(self, client_id: str) -> ClientInfo | Deferred[ClientInfo | None] | None:
        """Return the client with this id; see :meth:`Directory.find`."""
        client = self._registry.find(client_id)
        return None if client is None else _info(client)

    def clients(
        self,
        query: PageQuery,
        group: str | None = None,
        user: str | None = None,
        search: str = "",
    ) -> Page[ClientInfo] | Deferred[Page[ClientInfo]]:
        """Return a page of the clients; see :meth:`Directory.clients`."""
        registry = self._registry
        if group is not None:
            clients = registry.groups.members(group)
        elif user is not None:
            clients = registry.users.members(user)
        else:
            clients = registry.clients()
        return self._run(len(clients), self._clients_page(query, clients, user, search))

    def names(
        self, query: PageQuery, kind: Kind, search: str = ""
    ) -> Page[NameCount] | Deferred[Page[NameCount]]:
        """Return a page of groups or users; see :meth:`Directory.names`."""
        index = self._registry.groups if kind == "group" else self._registry.users
        names = list(index.names())
        return self._run(len(names), _names_page(query, names, index, search))

    def _run(self, count: int, steps: Steps[T]) -> T | Deferred[T]:
        if count <= MAX_AT_ONCE:
            return run_to_completion(steps)
        if self._slices.is_full:
            raise TooManyJobs
        return self._slices.run(steps)

    def _clients_page(
        self, query: PageQuery, clients: Sequence[Client], user: str | None, search: str
    ) -> Steps[Page[ClientInfo]]:
        if search:
            clients = yield from _found(clients, NameSearch(search))
        ids: list[str] = []
        for piece in chunks(clients, _PIECE):
            ids += [each.id for each in piece if user is None or each.identity.user == user]
            yield
        part, following = yield from query.select(ids)
        entries = []
        for client_id in part:
            # It may have disconnected meanwhile.
            client = self._registry.find(client_id)
            if client is not None:
                entries.append(_info(client))
            yield
        return Page(entries, following, len(ids))


def _found(clients: Sequence[Client], search: NameSearch) -> Steps[list[Client]]:
    """Return the clients that a search finds."""
    found: list[Client] = []
    for piece in chunks(clients, _SEARCHED_PIECE):
        found += filter(search.matches_client, piece)
        yield
    return found


def _names_page(
    query: PageQuery, names: Sequence[str], index: Index, search: str
) -> Steps[Page[NameCount]]:
    if search:
        matches = NameSearch(search).matches
        found: list[str] = []
        for piece in chunks(names, _PIECE):
            found += filter(matches, piece)
            yield
        names = found
    part, following = yield from query.select(names)
    return Page([NameCount(name, index.size(name)) for name in part], following, len(names))


def _info(client: Client) -> ClientInfo:
    identity, handshake = client.identity, client.handshake
    headers = dict(handshake.headers)
    return ClientInfo(
        client_id=client.id,
        user=identity.user,
        groups=tuple(sorted(client.groups)),
        state=identity.state,
        connected_at=client.connected_at,
        path=handshake.path,
        address=handshake.peer_host or None,
        origin=headers.get(b"Origin"),
        user_agent=headers.get(b"User-Agent"),
    )
