"""Metrics that are looked up when somebody asks, since another object has the numbers already."""

from collections.abc import Callable, Mapping
from typing import Literal

import attrs

from phpgw.metric_field import Merge


@attrs.frozen(kw_only=True)
class Observable:
    """A metric that costs nothing until it is observed.

    :ivar name: its name in an exporter, without prefix; that of a counter without suffix, too.
    :ivar help: a sentence for people.
    :ivar observe: returns the numbers, by the values of the labels.
    :ivar kind: ``counter`` for a total since the start, ``gauge`` for what is there now.
    :ivar labels: the names of the labels.
    :ivar merge: how those of several workers become one.
    """

    name: str
    help: str
    observe: Callable[[], Mapping[tuple[str, ...], float]]
    kind: Literal["counter", "gauge"] = "gauge"
    labels: tuple[str, ...] = ()
    merge: Merge = "sum"


def observable_number(name: str, help_text: str, read: Callable[[], float]) -> Observable:
    """Return a gauge with one number, and no labels.

    :param read: returns the number.
    """
    return Observable(name=name, help=help_text, observe=lambda: {(): read()})
