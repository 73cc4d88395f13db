"""Answers of a directory as values of answers to questions."""

from typing import Any, TypeVar

import attrs

from phpgw.hub.directory import ClientInfo, NameCount, Page

T = TypeVar("T", ClientInfo, NameCount)


def encode_client(info: ClientInfo | None) -> list[Any] | None:
    """Return the fields of a client."""
    return None if info is None else [*attrs.astuple(info, recurse=False)]


def decode_client(value: Any) -> ClientInfo | None:
    """Return the client whose fields these are; fields that are new are left out.

    :raises ValueError: if it is none.
    """
    match value:
        case None:
            return None
        case [
            str(client_id),
            None | str() as user,
            list(groups),
            None | str() as state,
            int() | float() as connected_at,
            bytes(path),
            None | str() as address,
            None | bytes() as origin,
            None | bytes() as agent,
            *_,
        ]:
            names = tuple(map(str, groups))
            return ClientInfo(
                client_id, user, names, state, connected_at, path, address, origin, agent
            )
        case _:
            raise ValueError("this is no client")


def encode_page(page: Page[ClientInfo] | Page[NameCount]) -> list[Any]:
    """Return the fields of a page."""
    entries = [[*attrs.astuple(entry, recurse=False)] for entry in page.entries]
    return [entries, page.next, page.total]


def decode_clients(value: Any) -> Page[ClientInfo]:
    """Return a page of clients.

    :raises ValueError: if it is none.
    """
    entries, following, total = _fields(value)
    clients = [client for entry in entries if (client := decode_client(entry)) is not None]
    return Page(clients, following, total)


def decode_names(value: Any) -> Page[NameCount]:
    """Return a page of groups or users.

    :raises ValueError: if it is none.
    """
    entries, following, total = _fields(value)
    counts = []
    for entry in entries:
        match entry:
            case [str(name), int(clients), *_]:
                counts.append(NameCount(name, clients))
            case _:
                raise ValueError("this is no group or user")
    return Page(counts, following, total)


def _fields(value: Any) -> tuple[list[Any], str | None, int]:
    match value:
        case [list(entries), None | str() as following, int(total), *_]:
            return entries, following, total
        case _:
            raise ValueError("this is no page")
