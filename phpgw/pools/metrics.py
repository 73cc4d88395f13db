"""The metrics of all pools, for Prometheus and for people."""

from collections.abc import Iterator, Mapping
from typing import Any

from phpgw.histogram import Histogram, quantile
from phpgw.pools.figures import PoolFigures
from phpgw.prometheus.plain_family import PREFIX, PlainFamily, Sample

AllFigures = Mapping[str, PoolFigures]
"""The figures of each pool, by its name."""


def pool_families(
    figures: AllFigures, sizes: Mapping[str, int], restarts: int
) -> list[PlainFamily]:
    """Return the metrics.

    :param sizes: the sizes of the pools.
    :param restarts: how often the pools' process has ended by itself.
    """
    return [
        _family(
            "pool_connections",
            "Connections that a pool has, by what they do.",
            "gauge",
            [
                ({"pool": name, "state": state}, getattr(each, state))
                for name, each in figures.items()
                for state in ("in_use", "idle", "opening")
            ],
        ),
        _family(
            "pool_size",
            "Connections that a pool may have.",
            "gauge",
            [({"pool": name}, size) for name, size in sizes.items()],
        ),
        _family(
            "pool_waiting",
            "Requests of PHP that wait for a connection of a pool.",
            "gauge",
            _numbers(figures, "waiting"),
        ),
        _family(
            "pool_opened",
            "Connections that were opened.",
            "counter",
            _numbers(figures, "opened"),
        ),
        _family(
            "pool_cleaned",
            "Times that a connection was given back by PHP, and proven clean.",
            "counter",
            _numbers(figures, "cleaned"),
        ),
        _family(
            "pool_closed",
            "Connections that were closed, by the reason.",
            "counter",
            _counts(figures, "closed"),
        ),
        _family(
            "pool_refused",
            "Requests of PHP that got no connection, by the reason.",
            "counter",
            _counts(figures, "refused"),
        ),
        _histogram("pool_wait_seconds", "How long PHP waited for a connection.", figures, "waits"),
        _histogram("pool_use_seconds", "How long PHP had a connection.", figures, "uses"),
        _family(
            "pools_restarts",
            "Times that the process of the pools ended by itself, and was started again.",
            "counter",
            [({}, restarts)],
        ),
    ]


def describe_pool(figures: PoolFigures) -> dict[str, Any]:
    """Return the figures of a pool in JSON's own types, for people; durations are in seconds."""
    described = figures.as_json()
    waits, uses = described.pop("waits")["counts"], described.pop("uses")["counts"]
    return described | {
        "wait_p50": quantile(waits, 0.5),
        "wait_p99": quantile(waits, 0.99),
        "use_p50": quantile(uses, 0.5),
        "use_p99": quantile(uses, 0.99),
    }


def _numbers(figures: AllFigures, field: str) -> list[tuple[dict[str, str], float]]:
    return [({"pool": name}, getattr(each, field)) for name, each in figures.items()]


def _counts(figures: AllFigures, field: str) -> list[tuple[dict[str, str], float]]:
    return [
        ({"pool": name, "reason": reason}, count)
        for name, each in figures.items()
        for reason, count in getattr(each, field).items()
    ]


def _family(
    name: str, help_text: str, kind: str, values: list[tuple[dict[str, str], float]]
) -> PlainFamily:
    suffix = "_total" if kind == "counter" else ""
    return {
        "name": PREFIX + name,
        "help": help_text,
        "type": kind,
        "merge": "sum",
        "samples": [(PREFIX + name + suffix, labels, value) for labels, value in values],
    }


def _histogram(name: str, help_text: str, figures: AllFigures, field: str) -> PlainFamily:
    return {
        "name": PREFIX + name,
        "help": help_text,
        "type": "histogram",
        "merge": "sum",
        "samples": [
            sample
            for pool, each in figures.items()
            for sample in _samples(PREFIX + name, {"pool": pool}, getattr(each, field))
        ],
    }


def _samples(name: str, labels: dict[str, str], histogram: Histogram) -> Iterator[Sample]:
    count = 0
    for bound, count in histogram.cumulative():
        yield (
            f"{name}_bucket",
            labels | {"le": "+Inf" if bound == float("inf") else str(bound)},
            count,
        )
    yield f"{name}_count", labels, count
    yield f"{name}_sum", labels, histogram.total
