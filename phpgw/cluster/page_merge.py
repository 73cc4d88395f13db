"""Merges the pages of several nodes: the page that one node with all their clients would have."""

from collections import Counter
from collections.abc import Sequence
from heapq import merge
from typing import TypeVar

from phpgw.hub.directory import ClientInfo, NameCount, Page

T = TypeVar("T")


def merge_clients(pages: Sequence[Page[ClientInfo]], limit: int) -> Page[ClientInfo]:
    """Merge pages of clients; a client is in one of them.

    :param limit: how many entries the page may have.
    """
    entries = [*merge(*(page.entries for page in pages), key=lambda client: client.client_id)]
    entries = [each for each in entries if _is_within(each.client_id, pages)]
    following = _next([each.client_id for each in entries], pages, limit)
    return Page(entries[:limit], following, sum(page.total for page in pages))


def merge_names(pages: Sequence[Page[NameCount]], limit: int) -> Page[NameCount]:
    """Merge pages of groups or users, which can be in several of them.

    How many there are in all is exact if each node has put all of its own on the page. If not, it
    is the most that are known.

    :param limit: how many entries the page may have.
    """
    counts: Counter[str] = Counter()
    for page in pages:
        for each in page.entries:
            counts[each.name] += each.clients
    names = sorted(name for name in counts if _is_within(name, pages))
    entries = [NameCount(name, counts[name]) for name in names[:limit]]
    has_one = sum(page.total > 0 for page in pages) <= 1
    is_complete = all(page.total == len(page.entries) for page in pages)
    total = max(len(counts), *(page.total for page in pages))
    return Page(entries, _next(names, pages, limit), total, has_one or is_complete)


def _is_within(name: str, pages: Sequence[Page[T]]) -> bool:
    """Return whether no page ends before this name: if one does, it may lack the ones between."""
    return all(page.next is None or name <= page.next for page in pages)


def _next(names: Sequence[str], pages: Sequence[Page[T]], limit: int) -> str | None:
    """Return the name after which the next page begins.

    :param names: the names that are within all pages, in order.
    """
    if len(names) > limit:
        return names[limit - 1]
    return min((page.next for page in pages if page.next is not None), default=None)
