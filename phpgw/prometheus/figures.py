"""The numbers of a gateway, as ``/stats`` and ``/metrics`` tell them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from twisted.internet.defer import Deferred

from phpgw.metrics import Metrics
from phpgw.observable import Observable
from phpgw.prometheus.collector import GatewayCollector
from phpgw.prometheus.exposition import Exposition, expose
from phpgw.prometheus.plain_family import PlainFamily
from phpgw.snapshot import Snapshot


class Figures(Protocol):
    """The numbers of a gateway: of this process, or of all its workers."""

    def snapshot(self) -> Snapshot | Deferred[Snapshot]:
        """Return the metrics as they are now."""
        ...

    def exposition(self, accept: bytes) -> Exposition | Deferred[Exposition]:
        """Return the metrics as text for Prometheus.

        :param accept: the request's header Accept; empty if there is none.
        """
        ...

    def pools(self) -> list[dict[str, Any]] | Deferred[list[dict[str, Any]]]:
        """Return each pool of connections, with its figures."""
        ...


class PoolsFigures(Protocol):
    """The figures of the pools, which a process of their own has."""

    def families(self) -> list[PlainFamily]:
        """Return them as metrics."""
        ...

    def as_json(self) -> list[dict[str, Any]]:
        """Return each pool with its figures."""
        ...


class OwnFigures:
    """The numbers of this process.

    :param observables: the metrics that other objects have the numbers of.
    :param pools: the figures of the gateway's pools, if it may have any.
    """

    def __init__(
        self,
        metrics: Metrics,
        observables: Sequence[Observable],
        pools: PoolsFigures | None = None,
    ) -> None:
        self._metrics = metrics
        self._collector = GatewayCollector(metrics, observables)
        self._pools = pools

    def snapshot(self) -> Snapshot:
        """See :meth:`Figures.snapshot`."""
        return Snapshot.of(self._metrics)

    def exposition(self, accept: bytes) -> Exposition:
        """See :meth:`Figures.exposition`."""
        return expose(
            JoinedCollector(self._collector, PlainCollector(self._pool_families())), accept
        )

    def pools(self) -> list[dict[str, Any]]:
        """See :meth:`Figures.pools`."""
        return [] if self._pools is None else self._pools.as_json()

    def families(self) -> list[PlainFamily]:
        """Return the metrics in JSON's own types, for another process."""
        merges = self._collector.merges()
        own: list[PlainFamily] = [
            {
                "name": metric.name,
                "help": metric.documentation,
                "type": metric.type,
                "merge": merges.get(metric.name, "sum"),
                "samples": [(each.name, each.labels, each.value) for each in metric.samples],
            }
            for metric in self._collector.collect()
        ]
        return own + self._pool_families()

    def _pool_families(self) -> list[PlainFamily]:
        return [] if self._pools is None else self._pools.families()


class PlainCollector(Collector):
    """A collector of metrics that other processes have told of."""

    def __init__(self, families: Iterable[PlainFamily]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """Yield each family."""
        for family in self._families:
            metric = Metric(family["name"], family["help"], family["type"])
            for name, labels, value in family["samples"]:
                metric.add_sample(name, labels, value)
            yield metric


class JoinedCollector(Collector):
    """Collects what several collectors do."""

    def __init__(self, *collectors: Collector) -> None:
        self._collectors = collectors

    def collect(self) -> Iterator[Metric]:
        """Yield the families of each."""
        for collector in self._collectors:
            yield from collector.collect()
