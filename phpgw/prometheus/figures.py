"""The numbers of a gateway, as ``/stats`` and ``/metrics`` tell them."""

from collections.abc import Iterable, Sequence
from typing import Protocol

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


class OwnFigures:
    """The numbers of this process.

    :param observables: the metrics that other objects have the numbers of.
    """

    def __init__(self, metrics: Metrics, observables: Sequence[Observable]) -> None:
        self._metrics = metrics
        self._collector = GatewayCollector(metrics, observables)

    def snapshot(self) -> Snapshot:
        """See :meth:`Figures.snapshot`."""
        return Snapshot.of(self._metrics)

    def exposition(self, accept: bytes) -> Exposition:
        """See :meth:`Figures.exposition`."""
        return expose(self._collector, accept)

    def families(self) -> list[PlainFamily]:
        """Return the metrics in JSON's own types, for another process."""
        merges = self._collector.merges()
        return [
            {
                "name": metric.name,
                "help": metric.documentation,
                "type": metric.type,
                "merge": merges.get(metric.name, "sum"),
                "samples": [(each.name, each.labels, each.value) for each in metric.samples],
            }
            for metric in self._collector.collect()
        ]


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
