"""The metrics of a process at one moment, as plain numbers that can be added to those of others."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self

import attrs

from phpgw.histogram import BOUNDS, OUTCOMES
from phpgw.metric_field import Merge
from phpgw.metrics import EVENT_TYPES, Metrics

MERGE_FUNCTIONS: Mapping[Merge, Callable[[Sequence[Any]], Any]] = {
    "sum": sum,
    "max": max,
    "min": min,
}
"""How numbers of several processes become one of the gateway."""

_METRICS = {each.name: each for each in Metrics.describe()}


@attrs.frozen
class Snapshot:
    """The numbers of a process, or of several.

    :ivar values: each metric by its name, without the histograms.
    :ivar outcomes: how many events of any type have ended, by outcome.
    :ivar waiting: the buckets of how long events of any type waited for PHP.
    :ivar php: the buckets of how long PHP took for them.
    """

    values: Mapping[str, int]
    outcomes: Mapping[str, int]
    waiting: Sequence[int]
    php: Sequence[int]

    @classmethod
    def of(cls, metrics: Metrics) -> Self:
        """Return the numbers of a process."""
        events = [metrics.events[each] for each in EVENT_TYPES]
        return cls(
            metrics.as_dict(),
            _add_counts(each.outcomes for each in events),
            _add_buckets(each.waiting.counts for each in events),
            _add_buckets(each.php.counts for each in events),
        )

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return what :meth:`as_json` of another process has returned."""
        return cls(**{field.name: value[field.name] for field in attrs.fields(cls)})

    @classmethod
    def merge(cls, several: Iterable[Self]) -> Self:
        """Return the numbers of several processes as those of one gateway."""
        snapshots = [*several]
        return cls(
            _merge_values(each.values for each in snapshots),
            _add_counts(each.outcomes for each in snapshots),
            _add_buckets(each.waiting for each in snapshots),
            _add_buckets(each.php for each in snapshots),
        )

    def totals(self) -> Self:
        """Return what has only grown, and so stays true of a process that has ended."""
        grown = {
            name: number
            for name, number in self.values.items()
            if name in _METRICS and _METRICS[name].kind == "counter"
        }
        return attrs.evolve(self, values=grown)

    def as_json(self) -> dict[str, Any]:
        """Return the numbers in JSON's own types."""
        return attrs.asdict(self)


def _merge_values(sources: Iterable[Mapping[str, int]]) -> dict[str, int]:
    values: dict[str, list[int]] = {}
    for source in sources:
        for name, number in source.items():
            values.setdefault(name, []).append(number)
    # A process with newer code may have others.
    return {
        name: MERGE_FUNCTIONS[_METRICS[name].merge if name in _METRICS else "sum"](numbers)
        for name, numbers in values.items()
    }


def _add_counts(sources: Iterable[Mapping[str, int]]) -> dict[str, int]:
    counts = dict.fromkeys(OUTCOMES, 0)
    for source in sources:
        for name, number in source.items():
            counts[name] = counts.get(name, 0) + number
    return counts


def _add_buckets(sources: Iterable[Sequence[int]]) -> list[int]:
    nothing = [0] * (len(BOUNDS) + 1)
    return [sum(counts) for counts in zip(nothing, *sources, strict=False)]
