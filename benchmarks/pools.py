"""Pools: what a request of PHP costs that talks to a server, on each road to it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol
from urllib.parse import urlencode

import attrs

from benchmarks.case import Case, Column
from benchmarks.contest import Contender, Sample, Unmeasured
from benchmarks.cpu import CpuMeter
from benchmarks.distance import Distance
from benchmarks.stage import Stage
from benchmarks.subjects import Subject
from benchmarks.wrk import post
from tests.support.real.gateway import ROOT, Gateway
from tests.support.real.process_table import descendants

# PHP processes that work at the same time; with distance, one.
_AT_ONCE = 16
_MILLISECONDS = (0, 20, 100)
_SCRIPT = "pools.php"
_BOUND = "bound: PHP that asks nobody"


class PoolServer(Protocol):
    """A server on this machine, with TLS.

    :ivar port: where it speaks TLS.
    """

    port: int

    def roads(self, port: int, milliseconds: int) -> "Sequence[Road]":
        """Return the roads to the server, which is at this port and so far away."""
        ...


@attrs.frozen
class Road:
    """A road from PHP to a server.

    :ivar fields: those of the form that tells PHP which one it is.
    :ivar pids: the processes that stand on it, besides PHP and the server.
    """

    name: str
    fields: Mapping[str, object]
    pids: Callable[[], Sequence[int]] = tuple


def start_pools(stage: Stage, directory: str, pools: Sequence[str]) -> Gateway:
    """Start a gateway with these pools, to be stopped at the end.

    :param pools: as ``--pool`` takes them.
    :raises Unmeasured: if it does not start.
    """
    gateway = Gateway(
        stage.directory / directory,
        f"--php-url={stage.php_url}",
        *(f"--pool={pool}" for pool in pools),
    )
    stage.exits.callback(gateway.stop)
    try:
        gateway.start()
    except AssertionError as error:
        raise Unmeasured(str(error).splitlines()[0]) from error
    return gateway


def pool_pids(gateway: Gateway) -> list[int]:
    """Return the processes of the pools of a gateway, which itself has no part in them."""
    return [each.pid for each in descendants(gateway.pid)]


def make_case(name: str, title: str, legend: str, serve: Callable[[Stage], PoolServer]) -> Case:
    """Make the case of a kind of servers.

    :param serve: starts the server.
    """

    def contenders(stage: Stage, subjects: list[Subject]) -> Iterator[tuple[str, list[Contender]]]:
        script = stage.root / _SCRIPT
        script.write_text((ROOT / "benchmarks" / _SCRIPT).read_text())
        server = serve(stage)
        for milliseconds in _MILLISECONDS:
            port = _start_distance(stage, name, server, milliseconds)
            roads = [*server.roads(port, milliseconds), Road(_BOUND, {"do": "nothing"})]
            if not milliseconds:
                entrants = [_contender(stage, road, _AT_ONCE, 1) for road in roads]
                yield f"{_AT_ONCE} at once", entrants
            # Connections that are kept are there before they are measured.
            warm_up = 1 + milliseconds // 25
            variant = f"one at a time, at {milliseconds} ms"
            yield variant, [_contender(stage, road, 1, warm_up) for road in roads]

    return Case(
        name=name,
        title=title,
        columns=(
            Column("rate", "requests/s", 0),
            Column("p50", "p50 ms", 2),
            Column("p99", "p99 ms", 2),
            Column("cpu_php", "php-fpm", 3),
            Column("cpu_between", "between", 3),
            Column("failed", "failed", 0),
        ),
        legend=f"{legend}; php-fpm, between: the CPU seconds that PHP and what stands between it "
        "and the server use for 1,000 requests",
        contenders=contenders,
        reference=_BOUND,
        needs_gateways=False,
    )


def _start_distance(stage: Stage, name: str, server: PoolServer, milliseconds: int) -> int:
    """Return the port of the server at this distance."""
    if not milliseconds:
        return server.port
    directory = stage.directory / f"{name}-{milliseconds}"
    distance = Distance(directory, server.port, milliseconds)
    stage.exits.callback(distance.stop)
    return distance.start().port


def _contender(stage: Stage, road: Road, connections: int, warm_up: int) -> Contender:
    """Return the contender on a road.

    :param warm_up: seconds.
    """

    def measure() -> Sample:
        body = urlencode({name: str(value) for name, value in road.fields.items()})
        url = f"{stage.nginx.url}/{_SCRIPT}"
        # Each worker of PHP has its own.
        post(url, [body], connections=_AT_ONCE, seconds=warm_up)
        meter = CpuMeter({"php": stage.php_pids(), "between": road.pids()})
        # At 100 ms, one request may take a second.
        seconds = max(stage.options.seconds, warm_up)
        outcome = post(url, [body], connections=connections, seconds=seconds)
        return {
            "rate": outcome.rate,
            "p50": outcome.p50,
            "p99": outcome.p99,
            "failed": float(outcome.refused + outcome.broken),
            **meter.used_per_thousand(outcome.requests),
        }

    return Contender(road.name, measure)
