"""Long lists, a page at a time.

A page begins after the last entry of the page before, in the order of the entries' names. So a
client that stays connected is listed once, even if others connect and disconnect between two pages.
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.web.server import Request

from phpgw.hub.directory import Page, PageQuery
from phpgw.time_slices import Steps, TimeSlices, run_to_completion
from phpgw.web.response import HttpError, json_text

T = TypeVar("T")

MAX_LIMIT = 1000
DEFAULT_LIMIT = 100
# No name is longer.
MAX_SEARCH = 256
# So many entries are written at once, which takes 2 ms at most.
_MAX_AT_ONCE = 200
_COUNT = re.compile("[0-9]{1,4}")


def read_page(parameters: Mapping[str, str]) -> PageQuery:
    """Read the parameters ``limit`` and ``after``.

    :raises HttpError: if one has a value that it cannot have.
    """
    limit = parameters.get("limit", str(DEFAULT_LIMIT))
    if not _COUNT.fullmatch(limit) or not 1 <= int(limit) <= MAX_LIMIT:
        raise HttpError(400, f"limit: expected a number from 1 to {MAX_LIMIT}")
    return PageQuery(int(limit), parameters.get("after", ""))


def read_search(parameters: Mapping[str, str]) -> str:
    """Read the parameter ``search``.

    :raises HttpError: if it is too long.
    """
    search = parameters.get("search", "")
    if len(search) > MAX_SEARCH:
        raise HttpError(400, f"search: expected at most {MAX_SEARCH} characters")
    return search


def page_response(
    request: Request,
    slices: TimeSlices,
    name: str,
    page: Page[T] | Deferred[Page[T]],
    as_object: Callable[[T], Mapping[str, object]],
) -> bytes | Deferred[bytes]:
    """Respond with a page in JSON.

    :param slices: writes a long page.
    :param name: of the field with the entries.
    :param as_object: returns an entry as an object for JSON.
    """
    write = partial(_write, request, slices, name, as_object)
    return page.addCallback(write) if isinstance(page, Deferred) else write(page)


def _write(
    request: Request,
    slices: TimeSlices,
    name: str,
    as_object: Callable[[T], Mapping[str, object]],
    page: Page[T],
) -> bytes | Deferred[bytes]:
    return respond_in_steps(request, slices, _page_text(name, as_object, page), len(page.entries))


def respond_in_steps(
    request: Request, slices: TimeSlices, steps: Steps[bytes], count: int
) -> bytes | Deferred[bytes]:
    """Respond with a text in JSON.

    :param slices: writes a long one.
    :param steps: return the text.
    :param count: the number of entries in it.
    """
    if count <= _MAX_AT_ONCE:
        return json_text(request, run_to_completion(steps))
    return slices.run(steps).addCallback(partial(json_text, request))


def _page_text(
    name: str, as_object: Callable[[T], Mapping[str, object]], page: Page[T]
) -> Steps[bytes]:
    entries = []
    for each in page.entries:
        entries.append(encode_value(as_object(each)))
        yield
    parts = (
        f'"{name}": [{", ".join(entries)}]',
        f'"next": {encode_value(page.next)}',
        f'"total": {page.total}',
        *(() if page.is_total_exact else ('"total_is_exact": false',)),
    )
    return f"{{{', '.join(parts)}}}\n".encode()


def encode_value(value: object) -> str:
    """Encode a value as JSON, in UTF-8 where it is not ASCII."""
    return json.dumps(value, ensure_ascii=False)
