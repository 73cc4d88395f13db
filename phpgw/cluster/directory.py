"""The directory of all nodes: those that may know are asked, and their pages merged."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from phpgw.bus.interface import BusUnavailable
from phpgw.cluster.channels import ALL, group_channel, user_channel
from phpgw.cluster.exchange import Exchange, NodeGone, NotAnswered
from phpgw.cluster.page_codec import (
    decode_client,
    decode_clients,
    decode_names,
    encode_client,
    encode_page,
)
from phpgw.cluster.page_merge import merge_clients, merge_names
from phpgw.cluster.routes import Router
from phpgw.hub.directory import ClientInfo, Directory, Kind, NameCount, NotKnown, Page, PageQuery

T = TypeVar("T", ClientInfo, NameCount)

_FIND, _CLIENTS, _NAMES = "find", "clients", "names"


class ClusterDirectory(Directory):
    """The directory of the clients of all nodes.

    An answer is complete. If a node cannot be asked that may have more, its methods fail with
    :exc:`phpgw.hub.directory.NotKnown`.

    :param local: the directory of the clients of this node.
    """

    def __init__(self, local: Directory, router: Router, exchange: Exchange) -> None:
        self._local = local
        self._router = router
        self._exchange = exchange
        exchange.handlers[_FIND] = self._find_for_another
        exchange.handlers[_CLIENTS] = self._clients_for_another
        exchange.handlers[_NAMES] = self._names_for_another

    def find(self, client_id: str) -> ClientInfo | Deferred[ClientInfo | None] | None:
        """Return the client with this id; see :meth:`Directory.find`."""
        node = self._router.node_of(client_id)
        if node is None:
            return self._local.find(client_id)
        return Deferred.fromCoroutine(self._find(node, client_id))

    def clients(
        self,
        query: PageQuery,
        group: str | None = None,
        user: str | None = None,
        search: str = "",
    ) -> Deferred[Page[ClientInfo]]:
        """Return a page of the clients; see :meth:`Directory.clients`."""
        channel = ALL
        if group is not None:
            channel = group_channel(group)
        elif user is not None:
            channel = user_channel(user)
        here = partial(self._local.clients, query, group, user, search)
        arguments = [query.limit, query.after, group, user, search]
        pages = self._pages(here, decode_clients, channel, _CLIENTS, arguments)
        return Deferred.fromCoroutine(pages).addCallback(merge_clients, query.limit)

    def names(self, query: PageQuery, kind: Kind, search: str = "") -> Deferred[Page[NameCount]]:
        """Return a page of groups or users; see :meth:`Directory.names`."""
        here = partial(self._local.names, query, kind, search)
        arguments = [query.limit, query.after, kind, search]
        pages = self._pages(here, decode_names, ALL, _NAMES, arguments)
        return Deferred.fromCoroutine(pages).addCallback(merge_names, query.limit)

    async def _find(self, node: str, client_id: str) -> ClientInfo | None:
        try:
            return decode_client(await self._exchange.ask(node, _FIND, [client_id]))
        except NodeGone:
            return None
        except (NotAnswered, ValueError) as error:
            raise NotKnown(str(error)) from None

    async def _pages(
        self,
        here: Callable[[], Page[T] | Deferred[Page[T]]],
        decode: Callable[[Any], Page[T]],
        channel: bytes,
        operation: str,
        arguments: list[Any],
    ) -> list[Page[T]]:
        """Return the pages of this node and of all others that have one."""
        page = here()
        own = await page if isinstance(page, Deferred) else page
        answers = await self._exchange.ask_all(channel, operation, arguments)
        if answers.problem is not None:
            raise NotKnown(answers.problem)
        try:
            cut_off = await self._exchange.cut_off()
            pages: list[Page[T]] = [decode(value) for value in answers.values.values()]
        except (BusUnavailable, ValueError) as error:
            raise NotKnown(str(error)) from None
        if cut_off:
            raise NotKnown(f"not on the bus: {', '.join(cut_off)}")
        pages.append(own)
        return pages

    # What other nodes ask

    def _find_for_another(self, sender: str, arguments: list[Any]) -> Any:
        [client_id] = arguments
        found = self._local.find(client_id)
        if isinstance(found, Deferred):
            return found.addCallback(encode_client)
        return encode_client(found)

    def _clients_for_another(self, sender: str, arguments: list[Any]) -> Any:
        limit, after, group, user, search = arguments
        return _encode(self._local.clients(PageQuery(limit, after), group, user, search))

    def _names_for_another(self, sender: str, arguments: list[Any]) -> Any:
        limit, after, kind, search = arguments
        return _encode(self._local.names(PageQuery(limit, after), kind, search))


def _encode(page: Any) -> Any:
    """Encode a page, or a Deferred of one."""
    return page.addCallback(encode_page) if isinstance(page, Deferred) else encode_page(page)
