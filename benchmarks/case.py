"""A benchmark: who is measured in it, and which numbers its tables show."""

from collections.abc import Callable, Iterator

import attrs

from benchmarks.contest import Contender
from benchmarks.stage import Stage
from benchmarks.subjects import GO, Subject


@attrs.frozen
class Column:
    """A number of each sample, as a table shows it.

    :ivar key: its name in the sample.
    :ivar digits: behind the decimal point.
    :ivar ratio: whether it is compared with the reference.
    :ivar of_bound: whether it is compared with the bound.
    """

    key: str
    heading: str
    digits: int
    ratio: bool = False
    of_bound: bool = False


@attrs.frozen
class Case:
    """A benchmark.

    :ivar name: on the command line and in the results.
    :ivar legend: what a reader of its tables has to know.
    :ivar contenders: who is measured, variant by variant, given the stage and the gateways on it.
    :ivar reference: the name of whom all others are compared with.
    :ivar needs_gateways: whether the gateways on the stage take part.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    legend: str
    contenders: Callable[[Stage, list[Subject]], Iterator[tuple[str, list[Contender]]]]
    reference: str = GO
    needs_gateways: bool = True
