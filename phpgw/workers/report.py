"""The numbers of one worker, and how those of several become the gateway's."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self

import attrs

from phpgw.metric_field import Merge
from phpgw.metrics import Metrics
from phpgw.prometheus.plain_family import PlainFamily, Sample

_FUNCTIONS: Mapping[Merge, Callable[[Sequence[Any]], Any]] = {"sum": sum, "max": max, "min": min}
_STATS = {each.name: each for each in Metrics.describe()}


@attrs.frozen
class Report:
    """The numbers of a worker, or of several.

    :ivar stats: as in ``/stats``.
    :ivar families: as in ``/metrics``.
    :ivar pools: as in ``/pools``; only the parent has some.
    """

    stats: Mapping[str, int]
    families: list[PlainFamily]
    pools: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def from_json(cls, message: Mapping[str, Any]) -> Self:
        """Return the report in a message."""
        return cls(message["stats"], message["families"], message.get("pools", ()))

    def totals(self) -> "Report":
        """Return what has only grown, and so stays true of a worker that has ended."""
        stats = {
            name: number
            for name, number in self.stats.items()
            if name in _STATS and _STATS[name].kind == "counter"
        }
        grown = [each for each in self.families if each["type"] in ("counter", "histogram")]
        return Report(stats, [each for each in grown if not each["name"].startswith("process_")])


NOTHING = Report({}, [])


def merge_reports(reports: Iterable[Report]) -> Report:
    """Return the numbers of several workers as those of one gateway."""
    all_reports = [*reports]
    return Report(
        _merge_stats(each.stats for each in all_reports),
        _merge_families(each.families for each in all_reports),
        [pool for each in all_reports for pool in each.pools],
    )


def _merge_stats(sources: Iterable[Mapping[str, int]]) -> dict[str, int]:
    values: dict[str, list[int]] = {}
    for stats in sources:
        for name, number in stats.items():
            values.setdefault(name, []).append(number)
    # A worker with newer code may have others.
    return {
        name: _FUNCTIONS[_STATS[name].merge if name in _STATS else "sum"](numbers)
        for name, numbers in values.items()
    }


def _merge_families(sources: Iterable[Iterable[PlainFamily]]) -> list[PlainFamily]:
    found: dict[str, PlainFamily] = {}
    values: dict[str, dict[tuple[Any, ...], list[float]]] = {}
    for families in sources:
        for family in families:
            found.setdefault(family["name"], family)
            samples = values.setdefault(family["name"], {})
            for name, labels, value in family["samples"]:
                samples.setdefault((name, *labels.items()), []).append(value)
    return [
        {**family, "samples": _merge_samples(family, values[name])}
        for name, family in found.items()
    ]


def _merge_samples(
    family: PlainFamily, values: Mapping[tuple[Any, ...], list[float]]
) -> list[Sample]:
    merge = _FUNCTIONS[family["merge"]]
    return [(name, dict(labels), merge(each)) for (name, *labels), each in values.items()]
