"""The metrics with their rates, and how long events took, from one second to the next."""

from collections.abc import Callable
from typing import Any

import attrs

from phpgw.histogram import quantile
from phpgw.metrics import EVENT_TYPES, Metrics

_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


@attrs.frozen
class _Sample:
    """The metrics at a time, in seconds of the reactor's clock."""

    at: float
    values: dict[str, int]
    outcomes: dict[str, int]
    waiting: list[int]
    php: list[int]


class RateMeter:
    """Compares the metrics with those of the measurement before.

    :param seconds: returns the time of the reactor's clock.
    """

    def __init__(self, metrics: Metrics, seconds: Callable[[], float]) -> None:
        self._metrics = metrics
        self._seconds = seconds
        self._counters = [each.name for each in metrics.describe() if each.kind == "counter"]
        self._before = self._now = self._sample()

    def measure(self) -> None:
        """Take the metrics."""
        self._before, self._now = self._now, self._sample()

    def last(self) -> dict[str, Any]:
        """Return the last measurement.

        All values as in ``/stats``; ``rates``, how much each counter has grown in a second;
        ``outcomes``, the events that ended in a second; ``wait_ms`` and ``php_ms``, quantiles of
        how long these waited, and PHP took.
        """
        before, now = self._before, self._now
        seconds = now.at - before.at
        rates = {
            name: _rate(now.values[name] - before.values[name], seconds) for name in self._counters
        }
        outcomes = {
            name: _rate(count - before.outcomes.get(name, 0), seconds)
            for name, count in now.outcomes.items()
        }
        return {
            **now.values,
            "rates": rates,
            "outcomes": outcomes,
            "wait_ms": _quantiles(before.waiting, now.waiting),
            "php_ms": _quantiles(before.php, now.php),
        }

    def _sample(self) -> _Sample:
        events = [self._metrics.events[each] for each in EVENT_TYPES]
        outcomes: dict[str, int] = {}
        for each in events:
            for outcome, count in each.outcomes.items():
                outcomes[outcome] = outcomes.get(outcome, 0) + count
        return _Sample(
            self._seconds(),
            self._metrics.as_dict(),
            outcomes,
            _sum(each.waiting for each in events),
            _sum(each.php for each in events),
        )


def _sum(histograms: Any) -> list[int]:
    """Return the buckets of several histograms together."""
    return [sum(counts) for counts in zip(*(each.counts for each in histograms), strict=True)]


def _rate(growth: int, seconds: float) -> float:
    return round(growth / seconds, 1) if seconds else 0.0


def _quantiles(before: list[int], now: list[int]) -> dict[str, float | None]:
    """Return quantiles in milliseconds; ``None`` if nothing has ended."""
    counts = [after - earlier for earlier, after in zip(before, now, strict=True)]
    found = {name: quantile(counts, share) for name, share in _QUANTILES.items()}
    return {
        name: None if seconds is None else round(seconds * 1000, 2)
        for name, seconds in found.items()
    }
