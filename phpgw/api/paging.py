"""Long lists, a page at a time.

A page begins behind the last entry of the page before, in the order of the entries' names. So
whoever is there all the while is met once, no matter who comes and goes between two pages.
"""

import re
from collections.abc import Iterable, Mapping
from heapq import nsmallest

import attrs

from phpgw.api.response import Refused

MOST = 1000
USUAL = 100
_COUNT = re.compile("[0-9]{1,4}")


@attrs.frozen
class Page:
    """Which part of a list is wanted.

    :ivar limit: how many entries, at most.
    :ivar after: the name behind which it begins.
    """

    limit: int = USUAL
    after: str = ""

    def of(self, names: Iterable[str]) -> tuple[list[str], str | None]:
        """The page's part of these names, in order, and what the next page begins after."""
        found = nsmallest(self.limit + 1, (name for name in names if name > self.after))
        part = found[: self.limit]
        return part, part[-1] if len(found) > self.limit else None


def read_page(parameters: Mapping[str, str]) -> Page:
    """Make sense of the parameters ``limit`` and ``after``.

    :raises Refused: if there is none in them.
    """
    limit = parameters.get("limit", str(USUAL))
    if not _COUNT.fullmatch(limit) or not 1 <= int(limit) <= MOST:
        raise Refused(400, f"limit: expected a number from 1 to {MOST}")
    return Page(int(limit), parameters.get("after", ""))
