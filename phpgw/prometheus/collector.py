"""The collector: turns the gateway's own numbers into Prometheus' metric families, on request.

To count, the gateway adds to plain ints: a counter of prometheus_client takes ten times as long.
Nothing is registered, and nothing is kept between two scrapes.
"""

from collections.abc import Iterator, Sequence

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from phpgw.histogram import Histogram
from phpgw.metric_field import Merge, MetricDescription, MetricFamily
from phpgw.metrics import Metrics
from phpgw.observable import Observable
from phpgw.prometheus.plain_family import PREFIX
from phpgw.prometheus.process_metrics import PROCESS_MERGES, process_metrics

_KINDS = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily}


class GatewayCollector(Collector):
    """Collects the metrics of a gateway and of its process.

    :param observables: the metrics that other objects have the numbers of.
    """

    def __init__(self, metrics: Metrics, observables: Sequence[Observable]) -> None:
        self._metrics = metrics
        self._observables = observables
        self._families: dict[MetricFamily, list[MetricDescription]] = {}
        for description in Metrics.describe():
            if description.is_exported:
                self._families.setdefault(description.family, []).append(description)

    def merges(self) -> dict[str, Merge]:
        """Return how families of several workers become one, other than by their sum."""
        merges = {
            PREFIX + family.name: members[0].merge for family, members in self._families.items()
        }
        merges |= {PREFIX + each.name: each.merge for each in self._observables}
        merges |= PROCESS_MERGES
        return {name: merge for name, merge in merges.items() if merge != "sum"}

    def collect(self) -> Iterator[Metric]:
        """Yield each family, also those without a sample at the moment."""
        for family, members in self._families.items():
            yield self._counted(family, members)
        yield from self._events()
        yield self._lag()
        for observable in self._observables:
            yield _observed(observable)
        yield from process_metrics()

    def _counted(self, family: MetricFamily, members: Sequence[MetricDescription]) -> Metric:
        by = members[0].by
        names = (*members[0].labels, *(() if by is None else (by,)))
        metric = _KINDS[members[0].kind](PREFIX + family.name, family.help, labels=names)
        for member in members:
            fixed, counted = (*member.labels.values(),), getattr(self._metrics, member.name)
            if by is None:
                metric.add_metric(fixed, counted)
            else:
                for value, number in counted.items():
                    metric.add_metric((*fixed, value), number)
        return metric

    def _events(self) -> Iterator[Metric]:
        """Yield how events have ended, and how long they took."""
        outcomes = CounterMetricFamily(
            PREFIX + "events", "Events that have ended.", labels=("type", "outcome")
        )
        waiting = _histogram("event_wait", "How long events waited for PHP.")
        php = _histogram("php", "How long PHP took for events.")
        whole = _histogram("event", "How long events took, from first to last.")
        for kind, events in self._metrics.events.items():
            for outcome, number in events.outcomes.items():
                outcomes.add_metric((kind, outcome), number)
            waiting.add_metric((kind,), *_buckets(events.waiting))
            php.add_metric((kind,), *_buckets(events.php))
            whole.add_metric((kind,), *_buckets(events.whole))
        return iter((outcomes, waiting, php, whole))

    def _lag(self) -> Metric:
        buckets, total = _buckets(self._metrics.reactor_lag)
        return HistogramMetricFamily(
            PREFIX + "reactor_lag_seconds",
            "How late the reactor makes a call.",
            buckets=buckets,
            sum_value=total,
        )


def _histogram(name: str, help_text: str) -> HistogramMetricFamily:
    return HistogramMetricFamily(f"{PREFIX}{name}_seconds", help_text, labels=("type",))


def _buckets(histogram: Histogram) -> tuple[list[tuple[str, float]], float]:
    """Return the buckets with their bounds, and the sum, as prometheus_client takes them."""
    buckets: list[tuple[str, float]] = [
        (floatToGoString(bound), count) for bound, count in histogram.cumulative()
    ]
    return buckets, histogram.total


def _observed(observable: Observable) -> Metric:
    metric = _KINDS[observable.kind](
        PREFIX + observable.name, observable.help, labels=observable.labels
    )
    for labels, value in observable.observe().items():
        metric.add_metric(labels, value)
    return metric
