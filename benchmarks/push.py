"""Push: how many messages a second PHP can hand to the gateway for its clients."""

import json
from collections.abc import Iterator, Sequence
from typing import Literal
from urllib.parse import urlencode

import attrs

from benchmarks.case import Case, Column
from benchmarks.contest import Contender, Sample, Unmeasured
from benchmarks.cpu import CpuMeter
from benchmarks.door import status_of
from benchmarks.helper import Helper
from benchmarks.stage import Stage
from benchmarks.subjects import GO, Subject, ours
from benchmarks.wrk import FORM, JSON, post

_CLIENTS = 256
# PHP processes that push at the same time.
_CONNECTIONS = 16
_BATCH = 100
_MESSAGE = "x" * 48
_LIMIT = 120.0
_BOUND = "bound: Nginx answers at once"


@attrs.frozen
class _Way:
    """A way to push.

    :ivar batch: commands in a request to ``/commands``; 0 for ``/send``.
    """

    variant: str
    connection: Literal["keep-alive", "close"] = "keep-alive"
    batch: int = 0


_KEPT = _Way("/send, connections kept")
_WAYS = (
    _KEPT,
    _Way("/send, a connection each", connection="close"),
    _Way(f"/commands, {_BATCH} a request (Go: /send, connections kept)", batch=_BATCH),
)


def contenders(stage: Stage, subjects: list[Subject]) -> Iterator[tuple[str, list[Contender]]]:
    """A variant for each way to push."""
    for way in _WAYS:
        entrants = [
            _gateway(stage, subject, _KEPT if way.batch and subject.name == GO else way)
            for subject in ours(subjects)
        ]
        yield way.variant, [*entrants, _nothing(stage, way)]


CASE = Case(
    name="push",
    title="Push",
    columns=(
        Column("rate", "messages/s", 0, ratio=True, of_bound=True),
        Column("requests_rate", "requests/s", 0),
        Column("p50", "p50 ms", 2, ratio=True),
        Column("p99", "p99 ms", 2, ratio=True),
        Column("cpu_gateway", "gateway", 4),
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
        if way.batch and status_of(subject, "/commands", "[]", JSON) == 404:
            raise Unmeasured("not there yet: /commands")
        job = {"job": "hold", "url": subject.ws_url, "clients": _CLIENTS}
        with Helper("benchmarks.load", _LIMIT, **job) as clients:
            ids = clients.hear("ready")["ids"]
            meter = CpuMeter({"gateway": subject.gateway_pids()})
            sample = _post(stage, subject.base_url, ids, way)
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
        return _post(stage, stage.nothing_url, ids, way)

    return Contender(_BOUND, measure)


def _post(stage: Stage, url: str, ids: Sequence[str], way: _Way) -> Sample:
    if way.batch:
        path, bodies = "/commands", _batches(ids, way.batch)
    else:
        path, bodies = (
            "/send",
            [urlencode({"client_id": each, "message": _MESSAGE}) for each in ids],
        )
    outcome = post(
        url if url == stage.nothing_url else f"{url}{path}",
        bodies,
        connections=_CONNECTIONS,
        seconds=stage.options.seconds,
        content_type=JSON if way.batch else FORM,
        connection=way.connection,
    )
    if outcome.refused:
        raise Unmeasured(f"{outcome.refused} of {outcome.requests} requests were refused")
    size = way.batch or 1
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


def _batches(ids: Sequence[str], size: int) -> list[str]:
    """As many lists of commands as there are clients, each beginning with another one."""
    return [
        json.dumps(
            [
                {"op": "send", "to": {"client": ids[(first + n) % len(ids)]}, "message": _MESSAGE}
                for n in range(size)
            ]
        )
        for first in range(len(ids))
    ]
