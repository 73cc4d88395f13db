"""The figures of the connection pools, which the parent of the workers has."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import attrs


@attrs.frozen
class PoolsReport:
    """The pools, each with its figures.

    :ivar pools: as in ``/pools``.
    """

    pools: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def from_json(cls, value: Sequence[Mapping[str, Any]]) -> Self:
        """Return the report of another process."""
        return cls(value)

    @classmethod
    def merge(cls, several: Iterable[Self]) -> Self:
        """Return all pools of several reports."""
        return cls([pool for each in several for pool in each.pools])

    def totals(self) -> Self:
        """Return nothing: no worker has pools."""
        return type(self)()

    def as_json(self) -> Sequence[Mapping[str, Any]]:
        """Return the pools in JSON's own types."""
        return self.pools
