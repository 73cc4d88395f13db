"""The figures of one pool."""

from collections.abc import Mapping
from typing import Any, Literal, Self, get_args

import attrs

from phpgw.histogram import Histogram
from phpgw.labelled_counts import LabelledCounts

CloseReason = Literal["used", "unclean", "lost", "idle", "age", "replaced", "reload", "stop"]
"""Why a connection was closed: it is of a kind that is used once; it could not be cleaned, or PHP
broke off; the server has closed it; nobody used it; it was too old; its place was needed for one
with another key; it was opened before a reload; the gateway stops."""

RefusalReason = Literal["full", "unavailable", "stopping"]
"""Why PHP got no connection, as in :mod:`phpgw.pools.errors`."""


def _zeros(reasons: Any) -> LabelledCounts:
    return LabelledCounts(dict.fromkeys(get_args(reasons), 0))


@attrs.define(kw_only=True)
class PoolFigures:
    """The figures of a pool.

    :ivar in_use: connections that PHP has now.
    :ivar idle: connections that wait for PHP.
    :ivar opening: connections that are being opened.
    :ivar waiting: how often PHP waits for a connection now.
    :ivar opened: connections that were opened.
    :ivar cleaned: how often a connection was given back, proven clean.
    :ivar closed: connections that were closed, by :data:`CloseReason`.
    :ivar refused: how often PHP got no connection, by :data:`RefusalReason`.
    :ivar waits: how long PHP waited for each connection.
    :ivar uses: how long PHP had each connection.
    :ivar problem: why the last connection could not be opened; empty if it was.
    """

    in_use: int = 0
    idle: int = 0
    opening: int = 0
    waiting: int = 0
    opened: int = 0
    cleaned: int = 0
    closed: LabelledCounts = attrs.field(factory=lambda: _zeros(CloseReason))
    refused: LabelledCounts = attrs.field(factory=lambda: _zeros(RefusalReason))
    waits: Histogram = attrs.field(factory=Histogram)
    uses: Histogram = attrs.field(factory=Histogram)
    problem: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the figures in JSON's own types."""
        return attrs.asdict(self)

    @classmethod
    def from_json(cls, figures: Mapping[str, Any]) -> Self:
        """Return figures that :meth:`as_json` has made."""
        plain = {name: figures[name] for name in _PLAIN}
        return cls(
            **plain,
            closed=LabelledCounts(figures["closed"]),
            refused=LabelledCounts(figures["refused"]),
            waits=Histogram(**figures["waits"]),
            uses=Histogram(**figures["uses"]),
        )


_PLAIN = ("in_use", "idle", "opening", "waiting", "opened", "cleaned", "problem")
