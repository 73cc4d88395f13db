"""The metrics with their rates, and how long events took, from one second to the next."""

from collections.abc import Callable, Sequence
from typing import Any

import attrs

from phpgw.histogram import quantile
from phpgw.metrics import Metrics
from phpgw.snapshot import Snapshot

_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


@attrs.frozen
class _Measurement:
    """The metrics at a time, in seconds of the reactor's clock."""

    at: float
    snapshot: Snapshot


class RateMeter:
    """Compares the metrics with those of the measurement before.

    :param seconds: returns the time of the reactor's clock.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._counters = [each.name for each in Metrics.describe() if each.kind == "counter"]
        self._before: _Measurement | None = None
        self._now: _Measurement | None = None

    def measure(self, snapshot: Snapshot) -> None:
        """Take note of the metrics as they are now."""
        now = _Measurement(self._seconds(), snapshot)
        self._before, self._now = self._now or now, now

    def last(self) -> dict[str, Any] | None:
        """Return the last measurement; ``None`` if there is none.

        All values as in ``/stats``; ``rates``, how much each counter has grown in a second;
        ``outcomes``, the events that ended in a second; ``wait_ms`` and ``php_ms``, quantiles of
        how long these waited, and PHP took. With a single measurement, nothing has grown.
        """
        if self._before is None or self._now is None:
            return None
        before, now = self._before.snapshot, self._now.snapshot
        seconds = self._now.at - self._before.at
        rates = {
            name: _rate(now.values.get(name, 0) - before.values.get(name, 0), seconds)
            for name in self._counters
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


def _rate(growth: int, seconds: float) -> float:
    # Of a worker that does not answer, a later number may be less.
    return round(max(growth, 0) / seconds, 1) if seconds else 0.0


def _quantiles(before: Sequence[int], now: Sequence[int]) -> dict[str, float | None]:
    """Return quantiles in milliseconds; ``None`` if nothing has ended."""
    counts = [max(after - earlier, 0) for earlier, after in zip(before, now, strict=True)]
    found = {name: quantile(counts, share) for name, share in _QUANTILES.items()}
    return {
        name: None if seconds is None else round(seconds * 1000, 2)
        for name, seconds in found.items()
    }
