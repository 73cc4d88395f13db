"""The last failures as JSON objects, and those of several processes in one list."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify, heappop, heapreplace
from typing import Any, Self

import attrs

FailureRecord = Mapping[str, Any]

MAX_FAILURES = 100


@attrs.frozen
class FailureList:
    """The last failures, as the API describes them.

    :ivar records: newest first.
    """

    records: Sequence[FailureRecord] = ()

    @classmethod
    def from_json(cls, value: Sequence[FailureRecord]) -> Self:
        """Return the failures of another process."""
        return cls(value)

    @classmethod
    def merge(cls, several: Iterable[Self]) -> Self:
        """Return the failures of several processes, as if one had kept them."""
        records = sorted(
            (record for each in several for record in each.records), key=lambda each: each["at"]
        )
        dropped = find_excess([each["problem"] for each in records], MAX_FAILURES)
        kept = [each for index, each in enumerate(records) if index not in dropped]
        return cls(kept[::-1])

    def totals(self) -> Self:
        """Return the failures, which stay known when their process has ended."""
        return self

    def as_json(self) -> Sequence[FailureRecord]:
        """Return the failures in JSON's own types."""
        return self.records


def find_excess(problems: Sequence[str], limit: int) -> set[int]:
    """Return which of too many problems make room: the oldest ones of the commonest.

    So many of one kind hide no others.

    :param problems: oldest first.
    :param limit: how many there may be.
    :returns: their indexes.
    """
    places: dict[str, deque[int]] = {}
    for index, problem in enumerate(problems):
        places.setdefault(problem, deque()).append(index)
    # The commonest first; of several, the one that has the oldest.
    queue = [(-len(indexes), indexes[0], problem) for problem, indexes in places.items()]
    heapify(queue)
    excess: set[int] = set()
    for _ in range(len(problems) - limit):
        count, oldest, problem = queue[0]
        excess.add(oldest)
        indexes = places[problem]
        indexes.popleft()
        if indexes:
            heapreplace(queue, (count + 1, indexes[0], problem))
        else:
            heappop(queue)
    return excess
