"""The metrics that gateways export, and those that texts name."""

import re
from functools import cache
from pathlib import Path

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.task import Clock

from phpgw.bus.handshake import Login
from phpgw.bus.link import EnginePlace
from phpgw.bus.names import BusNames
from phpgw.bus.own_engine.manager import OwnEngine
from phpgw.bus.redis_bus import RedisBus
from phpgw.bus.state import observe_bus
from phpgw.cluster.exchange import Exchange
from phpgw.cluster.membership import Membership
from phpgw.cluster.state import ClusterState, observe_cluster
from phpgw.metrics import Metrics
from phpgw.observable import Observable
from phpgw.pools.figures import PoolFigures
from phpgw.pools.metrics import pool_families
from phpgw.prometheus.figures import PlainCollector
from phpgw.prometheus.plain_family import observe_plainly
from phpgw.settings.outgoing_url import parse_named_upstream
from phpgw.workers.state import observe_workers
from tests.support.fake_redis import FakeRedis
from tests.support.in_memory_gateway import InMemoryGateway, Road, running_gateway

_NAME = re.compile(r"\b(?:phpgw|process)_[a-z_]+\b")
_UPSTREAMS = (parse_named_upstream("feed=ws://192.0.2.1/"),)
_HISTOGRAM = ("_bucket", "_sum", "_count")


@cache
def exported_metrics() -> dict[str, Metric]:
    """Return the families that gateways export on any way to PHP, by their names in queries."""
    found: dict[str, Metric] = {}
    roads: tuple[Road, ...] = ("FastCGI", "own PHP-FPM", "HTTP")
    for road in roads:
        with running_gateway(road, upstream=_UPSTREAMS) as gateway:
            for family in text_string_to_metric_families(scrape(gateway)):
                suffix = "_total" if family.type == "counter" else ""
                found[family.name + suffix] = family
    pools = pool_families({"db": PoolFigures()}, {"db": 8}, 0)
    for family in PlainCollector([*map(observe_plainly, _elsewhere()), *pools]).collect():
        suffix = "_total" if family.type == "counter" else ""
        found[family.name + suffix] = family
    return found


def _elsewhere() -> tuple[Observable, ...]:
    """Return the metrics of gateways with workers, or with others."""
    place = EnginePlace(FakeRedis(), "", Login("", lambda: None))
    bus = RedisBus(Clock(), place, BusNames.of("phpgw"))
    membership = Membership(Clock(), bus, keeps_id=True)
    exchange = Exchange(Clock(), bus, membership)
    nodes = observe_cluster(ClusterState(membership, Metrics()), membership, exchange)
    engine = OwnEngine(Clock(), Path("redis-server"))
    return (*observe_workers(()), *engine.observables(), *observe_bus(bus), *nodes)


def scrape(gateway: InMemoryGateway) -> str:
    """Return the response of ``/metrics``."""
    gateway.caller.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return gateway.caller.read_response().decode()


def named_metrics(text: str) -> set[str]:
    """Return the metrics that a text names; the parts of a histogram are that."""
    names = set()
    for name in _NAME.findall(text):
        for suffix in _HISTOGRAM:
            histogram = name.removesuffix(suffix)
            if histogram != name and histogram in exported_metrics():
                name = histogram
        names.add(name)
    return names
