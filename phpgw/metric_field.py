"""The declaration of a metric: a field of a class, with all that an exporter has to know."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import attrs

from phpgw.labelled_counts import LabelledCounts

_DESCRIPTION = "description"
Merge = Literal["sum", "max", "min"]
"""How a number of several workers becomes one of the whole gateway."""


@attrs.frozen
class MetricFamily:
    """Numbers that an exporter with labels shows as one metric.

    :ivar name: its name there, in the words of Prometheus, without prefix; that of a counter
        without suffix, too.
    :ivar help: a sentence for people.
    """

    name: str
    help: str


@attrs.frozen(kw_only=True)
class MetricDescription:
    """The description of one metric, for exporters.

    :ivar name: its name in ``/stats``, and its attribute in :class:`Metrics`.
    :ivar kind: ``counter`` for a total since the start, ``gauge`` for what is there now.
    :ivar help: a sentence for people.
    :ivar unit: what is counted, in the plural.
    :ivar family: what it has in common with those that differ in their labels alone; most
        metrics are a family of one.
    :ivar labels: what tells it apart within its family.
    :ivar by: the label whose values the metric is counted by; ``None`` if it is one number.
    :ivar is_exported: false if the family of another metric has it, under a label.
    :ivar merge: how those of several workers become one.
    """

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    unit: str
    family: MetricFamily
    labels: Mapping[str, str]
    by: str | None
    is_exported: bool
    merge: Merge


def counter(
    help_text: str,
    unit: str,
    *,
    name: str | None = None,
    family: MetricFamily | None = None,
    is_exported: bool = True,
    **labels: str,
) -> Any:
    """Declare a total since the start, which only grows.

    :param name: the name of its family, if it is one of its own and is not called the same.
    """
    facts = _facts("counter", help_text, unit, name, family, labels)
    return attrs.field(default=0, metadata={_DESCRIPTION: facts | {"is_exported": is_exported}})


def counter_by(
    label: str,
    values: Iterable[str],
    help_text: str,
    unit: str,
    *,
    name: str | None = None,
    family: MetricFamily | None = None,
    **labels: str,
) -> Any:
    """Declare a total since the start that is counted by the values of a label.

    A client must not be able to choose a value: each is kept for ever.

    :param values: those that are exported from the start, with 0.
    """
    facts = _facts("counter", help_text, unit, name, family, labels) | {"by": label}
    zeros = dict.fromkeys(values, 0)
    return attrs.field(factory=lambda: LabelledCounts(zeros), metadata={_DESCRIPTION: facts})


def gauge(help_text: str, unit: str, *, name: str | None = None, merge: Merge = "sum") -> Any:
    """Declare a number of what is there now, which grows and shrinks.

    :param name: the name of its family, if it is not called the same.
    :param merge: how those of several workers become one.
    """
    facts = _facts("gauge", help_text, unit, name, None, {}) | {"merge": merge}
    return attrs.field(default=0, metadata={_DESCRIPTION: facts})


def _facts(
    kind: str,
    help_text: str,
    unit: str,
    name: str | None,
    family: MetricFamily | None,
    labels: dict[str, str],
) -> dict[str, Any]:
    if name is not None:
        family = MetricFamily(name, help_text)
    return {
        "kind": kind,
        "help": help_text,
        "unit": unit,
        "family": family,
        "labels": labels,
        "by": None,
        "is_exported": True,
        "merge": "sum",
    }


def describe_fields(declaring: type) -> Iterator[MetricDescription]:
    """Return the descriptions of the metrics that a class declares, in order."""
    for field in attrs.fields(declaring):
        facts = field.metadata.get(_DESCRIPTION)
        if facts is not None:
            family = facts["family"] or MetricFamily(field.name.removesuffix("_now"), facts["help"])
            yield MetricDescription(**{**facts, "name": field.name, "family": family})
