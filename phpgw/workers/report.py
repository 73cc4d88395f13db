"""The metrics of one worker for Prometheus, and how those of several become the gateway's."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import attrs

from phpgw.prometheus.plain_family import PlainFamily, Sample
from phpgw.snapshot import MERGE_FUNCTIONS


@attrs.frozen
class Report:
    """The metrics of a worker, or of several.

    :ivar families: as in ``/metrics``.
    """

    families: Sequence[PlainFamily] = ()

    @classmethod
    def from_json(cls, value: Sequence[PlainFamily]) -> Self:
        """Return the report of another process."""
        return cls(value)

    @classmethod
    def merge(cls, several: Iterable[Self]) -> Self:
        """Return the metrics of several workers as those of one gateway."""
        return cls(_merge_families(each.families for each in several))

    def totals(self) -> Self:
        """Return what has only grown, and so stays true of a worker that has ended."""
        grown = [each for each in self.families if each["type"] in ("counter", "histogram")]
        return attrs.evolve(
            self, families=[each for each in grown if not each["name"].startswith("process_")]
        )

    def as_json(self) -> Sequence[PlainFamily]:
        """Return the metrics in JSON's own types."""
        return self.families


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
    merge = MERGE_FUNCTIONS[family["merge"]]
    return [(name, dict(labels), merge(each)) for (name, *labels), each in values.items()]
