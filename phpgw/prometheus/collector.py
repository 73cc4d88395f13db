"""The collector: turns the gateway's own numbers into Prometheus' metric families, on request.

To count, the gateway adds to plain ints: a counter of prometheus_client takes ten times as long.
Nothing is registered, and nothing is kept between two scrapes.
"""

from collections.abc import Iterator, Sequence

from prometheus_client import ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from phpgw.metrics import MetricDescription, MetricFamily, Metrics
from phpgw.observable import Observable

_PREFIX = "phpgw_"
_KINDS = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily}


class GatewayCollector(Collector):
    """Collects the metrics of a gateway and of its process.

    :param observables: the metrics that other objects have the numbers of.
    """

    def __init__(self, metrics: Metrics, observables: Sequence[Observable]) -> None:
        self._metrics = metrics
        self._observables = observables
        self._process = ProcessCollector(registry=None)
        self._families: dict[MetricFamily, list[MetricDescription]] = {}
        for description in Metrics.describe():
            self._families.setdefault(description.family, []).append(description)

    def collect(self) -> Iterator[Metric]:
        """Yield each family, also those without a sample at the moment."""
        for family, members in self._families.items():
            yield self._counted(family, members)
        for observable in self._observables:
            yield _observed(observable)
        yield from self._process.collect()

    def _counted(self, family: MetricFamily, members: Sequence[MetricDescription]) -> Metric:
        metric = _KINDS[members[0].kind](
            _PREFIX + family.name, family.help, labels=(*members[0].labels,)
        )
        for member in members:
            metric.add_metric((*member.labels.values(),), getattr(self._metrics, member.name))
        return metric


def _observed(observable: Observable) -> Metric:
    metric = _KINDS[observable.kind](
        _PREFIX + observable.name, observable.help, labels=observable.labels
    )
    for labels, value in observable.observe().items():
        metric.add_metric(labels, value)
    return metric
