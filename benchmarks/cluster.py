"""Several nodes with one Redis: pushes to the own node and to another one, and a broadcast."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from benchmarks.api import CommandsApi, Requests
from benchmarks.broadcast import broadcast, push_once
from benchmarks.case import Case, Column
from benchmarks.contest import Contender, Sample, Unmeasured
from benchmarks.cpu import CpuMeter
from benchmarks.door import json_of
from benchmarks.helper import Helper
from benchmarks.push import push_for
from benchmarks.stage import Stage
from benchmarks.subjects import NO_LIMITS, Subject
from tests.support.real.gateway import Gateway
from tests.support.real.process import MissingProgram
from tests.support.real.redis import Redis

_CLIENTS = 256
_BATCH = 100
_LIMIT = 180.0
_KNOW_SECONDS = 10.0


@attrs.frozen
class _Way:
    """A way to push.

    :ivar batch: messages in a request; 1 for ``/send``.
    """

    variant: str
    batch: int


_WAYS = (_Way("/send, connections kept", 1), _Way(f"/commands, {_BATCH} a request", _BATCH))


def push_contenders(stage: Stage, subjects: list[Subject]) -> Iterator[tuple[str, list[Contender]]]:
    """A variant for each way to push."""
    with _cluster(stage, 2) as (redis, [first, second]):
        for way in _WAYS:
            yield (
                way.variant,
                [
                    _push(stage, "its client is at the same node", way, first, first, redis),
                    _push(stage, "its client is at another node", way, first, second, redis),
                ],
            )


def broadcast_contenders(
    stage: Stage, subjects: list[Subject]
) -> Iterator[tuple[str, list[Contender]]]:
    """One variant, with as many clients of one node, and of three."""
    audience = stage.room_for(stage.options.audience)
    with _cluster(stage, 3) as (redis, nodes):
        rows = (("all at one node", nodes[:1]), ("spread over three nodes", nodes))
        yield (
            f"to {audience:,} clients",
            [_broadcast(name, nodes, places, redis, audience) for name, places in rows],
        )


PUSH_CASE = Case(
    name="cluster-push",
    title="Push with two nodes",
    columns=(
        Column("cpu_sender", "sender", 4),
        Column("cpu_owner", "owner", 4),
        Column("cpu_engine", "Redis", 4),
        Column("rate", "messages/s", 0),
        Column("requests_rate", "requests/s", 0),
        Column("p50", "p50 ms", 2),
        Column("p99", "p99 ms", 2),
        Column("delivered", "delivered", 2),
    ),
    legend="sender, owner, Redis: the CPU seconds that these use for 1,000 messages; the sender is "
    "the node that PHP asks, the owner that of the client; delivered: as for push",
    contenders=push_contenders,
)
BROADCAST_CASE = Case(
    name="cluster-broadcast",
    title="Broadcast with three nodes",
    columns=(
        Column("cpu_gateway", "CPU ms", 1),
        Column("cpu_engine", "Redis ms", 2),
        Column("last", "last ms", 0),
        Column("reached", "reached", 0),
    ),
    legend="CPU ms, Redis ms: what the three nodes together, and Redis, use for one broadcast; "
    "last ms: when the last client has it; reached: how many clients get it",
    contenders=broadcast_contenders,
)


@contextmanager
def _cluster(stage: Stage, count: int) -> Iterator[tuple[Redis, list[Gateway]]]:
    """So many nodes that know each other, as long as the ``with`` block runs.

    :raises Unmeasured: if they do not start, or do not find each other.
    """
    redis = Redis(stage.directory / f"redis{count}")
    upstream = (f"--php-script={stage.script}", f"--php-fpm={stage.php_fpm.endpoint}")
    nodes = [
        Gateway(
            stage.directory / f"node{number}of{count}", *upstream, f"--bus={redis.url}", *NO_LIMITS
        )
        for number in range(count)
    ]
    try:
        for process in (redis, *nodes):
            process.start()
        deadline = time.monotonic() + _KNOW_SECONDS
        while any(json_of(_url(node, "/stats"))["nodes_now"] < count for node in nodes):
            if time.monotonic() > deadline:
                raise Unmeasured("the nodes do not find each other")
            time.sleep(0.1)
        yield redis, nodes
    except (MissingProgram, AssertionError) as error:
        raise Unmeasured(str(error)) from error
    finally:
        for process in (*nodes, redis):
            process.stop()


def _push(
    stage: Stage, name: str, way: _Way, sender: Gateway, owner: Gateway, redis: Redis
) -> Contender:
    def measure() -> Sample:
        job = {"job": "hold", "url": owner.ws_url, "clients": _CLIENTS}
        with Helper("benchmarks.load", _LIMIT, **job) as clients:
            clients.hear("ready")
            requests = _requests(sender, _ids(owner), way)
            roles = {"sender": [sender.pid], "owner": [owner.pid], "engine": [redis.pid]}
            if owner is sender:
                del roles["owner"]
            meter = CpuMeter(roles)
            sample = push_for(stage.options.seconds, requests)
            sample |= meter.used_per_thousand(sample["messages"])
            got = clients.ask("messages", at_least=int(sample["messages"]), seconds=2.0)["count"]
            sample["delivered"] = got / sample["messages"]
        return sample

    return Contender(name, measure)


def _broadcast(
    name: str, nodes: list[Gateway], places: list[Gateway], redis: Redis, audience: int
) -> Contender:
    requests = CommandsApi(_url(nodes[0])).broadcast()

    @contextmanager
    def start(_: list[str]) -> Iterator[float]:
        began = time.monotonic()
        push_once(requests)
        yield began

    def measure() -> Sample:
        roles = {"gateway": [node.pid for node in nodes], "engine": [redis.pid]}
        urls = " ".join(node.ws_url for node in places)
        return broadcast(urls, roles, audience, start)

    return Contender(name, measure)


def _requests(sender: Gateway, ids: list[str], way: _Way) -> Requests:
    api = CommandsApi(_url(sender))
    return api.single(ids) if way.batch == 1 else api.batches(ids, way.batch)


def _ids(node: Gateway) -> list[str]:
    """The clients of all nodes: their ids begin with that of their node."""
    page = json_of(_url(node, "/clients?limit=1000"))
    return [client["client_id"] for client in page["clients"]]


def _url(node: Gateway, path: str = "") -> str:
    return f"http://127.0.0.1:{node.port}{path}"
