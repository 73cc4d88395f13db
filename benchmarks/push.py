"""Push: how many messages a second PHP can hand to the gateway for its clients."""

from collections.abc import Iterator
from typing import Literal

import attrs

from benchmarks.api import Requests, SendApi, batches_of_commands
from benchmarks.case import Case, Column
from benchmarks.contest import Contender, Sample, Unmeasured
from benchmarks.cpu import CpuMeter
from benchmarks.helper import Helper
from benchmarks.stage import Stage
from benchmarks.subjects import Subject, ours
from benchmarks.wrk import post

_CLIENTS = 256
# PHP processes that push at the same time.
_CONNECTIONS = 16
_BATCH = 100
_LIMIT = 120.0
_BOUND = "bound: Nginx answers at once"


@attrs.frozen
class _Way:
    """A way to push.

    :ivar batch: messages in a request; 0 for one message, the usual way.
    """

    variant: str
    connection: Literal["keep-alive", "close"] = "keep-alive"
    batch: int = 0


_WAYS = (
    _Way("/send, connections kept"),
    _Way("/send, a connection each", connection="close"),
    _Way(f"/commands, {_BATCH} a request (Go, Nchan: one)", batch=_BATCH),
)


def contenders(stage: Stage, subjects: list[Subject]) -> Iterator[tuple[str, list[Contender]]]:
    """A variant for each way to push."""
    for way in _WAYS:
        entrants = [_gateway(stage, subject, way) for subject in ours(subjects)]
        yield way.variant, [*entrants, _nothing(stage, way)]


CASE = Case(
    name="push",
    title="Push",
    columns=(
        Column("cpu_gateway", "gateway", 4, ratio=True),
        Column("rate", "messages/s", 0, ratio=True, of_bound=True),
        Column("requests_rate", "requests/s", 0),
        Column("p50", "p50 ms", 2, ratio=True),
        Column("p99", "p99 ms", 2, ratio=True),
        Column("cpu_load", "load", 4),
        Column("load_share", "load %", 0),
        Column("delivered", "delivered", 2),
    ),
    legend="gateway, load: the CPU seconds that these use for 1,000 messages; "
    "load %: of one core; "
    "delivered: messages that clients got, as a share of those answered with 200",
    contenders=contenders,
)


def _gateway(stage: Stage, subject: Subject, way: _Way) -> Contender:
    def measure() -> Sample:
        job = {"job": "hold", "url": subject.ws_url, "clients": _CLIENTS}
        with Helper("benchmarks.load", _LIMIT, **job) as clients:
            ids = clients.hear("ready")["ids"]
            requests = _requests(subject.api, ids, way)
            meter = CpuMeter({"gateway": subject.gateway_pids()})
            sample = push_for(stage.options.seconds, requests, way.connection)
            sample |= meter.used_per_thousand(sample["messages"])
            # Late ones are on their way.
            got = clients.ask("messages", at_least=int(sample["messages"]), seconds=2.0)["count"]
            sample["delivered"] = got / sample["messages"]
        return sample

    return Contender(subject.name, measure, _BOUND)


def _nothing(stage: Stage, way: _Way) -> Contender:
    """The same requests to a server that does nothing with them."""

    def measure() -> Sample:
        ids = [f"127.0.0.1:{port}" for port in range(50000, 50000 + _CLIENTS)]
        url = stage.nothing_url
        if way.batch:
            requests = batches_of_commands(url, ids, way.batch)
        else:
            requests = attrs.evolve(SendApi(url).single(ids), url=url)
        return push_for(stage.options.seconds, requests, way.connection)

    return Contender(_BOUND, measure)


def _requests(api: SendApi, ids: list[str], way: _Way) -> Requests:
    return api.batches(ids, way.batch) if way.batch else api.single(ids)


def push_for(
    seconds: int, requests: Requests, connection: Literal["keep-alive", "close"] = "keep-alive"
) -> Sample:
    """Make these requests in turn for so long.

    :raises Unmeasured: if one was refused.
    """
    outcome = post(
        requests.url,
        requests.lines,
        connections=_CONNECTIONS,
        seconds=seconds,
        content_type=requests.content_type,
        connection=connection,
    )
    if outcome.refused:
        raise Unmeasured(f"{outcome.refused} of {outcome.requests} requests were refused")
    size = requests.size
    messages = outcome.requests * size
    return {
        "messages": messages,
        "rate": outcome.rate * size,
        "requests_rate": outcome.rate,
        "broken": outcome.broken,
        "p50": outcome.p50,
        "p99": outcome.p99,
        "cpu_load": 1000 * outcome.cpu / messages,
        "load_share": 100 * outcome.cpu / outcome.seconds,
    }
