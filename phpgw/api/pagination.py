"""Long lists, a page at a time.

A page begins behind the last entry of the page before, in the order of the entries' names. So
whoever is there all the while is met once, no matter who comes and goes between two pages. To find
a page's entries takes a look at all of them, which is done in slices where they are many.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import attrs
from twisted.internet.defer import Deferred
from twisted.web.server import Request

from phpgw.time_slices import Steps, TimeSlices, pieces, run_to_completion
from phpgw.web.response import HttpError, busy, json_text

MAX_LIMIT = 1000
DEFAULT_LIMIT = 100
# Of how many entries a page is made at once, which takes 3 ms at most.
_FEW = 200
# How many names are looked at in a step.
_PIECE = 2000
_COUNT = re.compile("[0-9]{1,4}")


@attrs.frozen
class Page:
    """Which part of a list is wanted.

    :ivar limit: how many entries, at most.
    :ivar after: the name behind which it begins.
    """

    limit: int = DEFAULT_LIMIT
    after: str = ""

    def of(self, names: Sequence[str]) -> Steps[tuple[list[str], str | None]]:
        """Return the page's part of these names, in order, and what the next page begins after."""
        found: list[str] = []
        for piece in pieces(names, _PIECE):
            found += [name for name in piece if name > self.after]
            found.sort()
            del found[self.limit + 1 :]
            yield
        part = found[: self.limit]
        return part, part[-1] if len(found) > self.limit else None


def read_page(parameters: Mapping[str, str]) -> Page:
    """Make sense of the parameters ``limit`` and ``after``.

    :raises HttpError: if there is none in them.
    """
    limit = parameters.get("limit", str(DEFAULT_LIMIT))
    if not _COUNT.fullmatch(limit) or not 1 <= int(limit) <= MAX_LIMIT:
        raise HttpError(400, f"limit: expected a number from 1 to {MAX_LIMIT}")
    return Page(int(limit), parameters.get("after", ""))


def page_text(kind: str, entries: Iterable[str], following: str | None, total: int) -> bytes:
    """Return a page as JSON.

    :param kind: what its entries are called.
    :param entries: which are JSON already.
    """
    parts = (
        f'"{kind}": [{", ".join(entries)}]',
        f'"next": {entry(following)}',
        f'"total": {total}',
    )
    return f"{{{', '.join(parts)}}}\n".encode()


def entry(value: object) -> str:
    """Return a part of a page as JSON."""
    return json.dumps(value, ensure_ascii=False)


def answer_page(
    request: Request, slices: TimeSlices, count: int, steps: Steps[bytes]
) -> bytes | Deferred[bytes]:
    """Answer with a page, in slices if it is one of many entries.

    :param steps: make it.
    """
    if count <= _FEW:
        return json_text(request, run_to_completion(steps))
    if slices.is_full:
        raise busy()
    return slices.run(steps).addCallback(partial(json_text, request))
