"""Broadcast: one message to thousands of clients."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from benchmarks.api import MESSAGE, Requests
from benchmarks.case import Case, Column
from benchmarks.contest import Contender, Sample, Unmeasured
from benchmarks.cpu import CpuMeter, Roles
from benchmarks.door import status_of
from benchmarks.helper import Helper
from benchmarks.stage import Stage
from benchmarks.subjects import GO, Subject, ours
from benchmarks.wrk import posting_once
from tests.support.real.process import free_port

# In a sample, so that the processor's clock, which ticks a hundred times a second, is fine enough.
TIMES = 10
# PHP processes that push at the same time.
_PUSHERS = 16
_PATIENCE = 30.0
_LIMIT = 180.0
_BOUND = "bound: bare socket.send"
_ONE_BY_ONE = "by /send one by one"

# Starts a broadcast, given the clients' ids, and tells when that was.
Start = Callable[[list[str]], AbstractContextManager[float]]


def contenders(stage: Stage, subjects: list[Subject]) -> Iterator[tuple[str, list[Contender]]]:
    """One variant; where a gateway has a command for it, that is measured beside single pushes."""
    audience = stage.room_for(stage.options.audience)
    entrants = []
    for subject in ours(subjects):
        if subject.api.has_broadcast:
            entrants.append(_by_command(subject, audience))
        entrants.append(_one_by_one(subject, audience))
    yield f"to {audience:,} clients", [*entrants, _bare(audience)]


CASE = Case(
    name="broadcast",
    title="Broadcast",
    columns=(
        Column("cpu", "CPU ms", 1, ratio=True, of_bound=True),
        Column("last", "last ms", 0, ratio=True, of_bound=True),
        Column("reached", "reached", 0),
    ),
    legend="CPU ms: what the gateway uses for one broadcast; last ms: when the last client has it; "
    "reached: how many clients get it",
    contenders=contenders,
    reference=f"{GO}, {_ONE_BY_ONE}",
)


def _by_command(subject: Subject, audience: int) -> Contender:
    def measure() -> Sample:
        requests = subject.api.broadcast()

        @contextmanager
        def start(_: list[str]) -> Iterator[float]:
            began = time.monotonic()
            push_once(requests)
            yield began

        return broadcast(subject.ws_url, {"gateway": subject.gateway_pids()}, audience, start)

    return Contender(f"{subject.name}, one command", measure, _BOUND)


def _one_by_one(subject: Subject, audience: int) -> Contender:
    """What is left where there is no command: a push for each client."""

    @contextmanager
    def start(ids: list[str]) -> Iterator[float]:
        requests = subject.api.single(ids)
        began = time.monotonic()
        with posting_once(
            requests.url,
            requests.lines,
            connections=_PUSHERS,
            content_type=requests.content_type,
        ):
            yield began

    def measure() -> Sample:
        return broadcast(subject.ws_url, {"gateway": subject.gateway_pids()}, audience, start, 1)

    return Contender(f"{subject.name}, {_ONE_BY_ONE}", measure, _BOUND)


def _bare(audience: int) -> Contender:
    """The same bytes to as many sockets, and nothing else."""

    def measure() -> Sample:
        port = free_port()
        with Helper("benchmarks.bare", _LIMIT, job="serve", port=port) as server:
            server.hear("ready")

            @contextmanager
            def start(_: list[str]) -> Iterator[float]:
                yield server.ask("broadcast", message=MESSAGE)["began"]

            return broadcast(f"ws://127.0.0.1:{port}/", {"gateway": [server.pid]}, audience, start)

    return Contender(_BOUND, measure)


def broadcast(url: str, roles: Roles, audience: int, start: Start, times: int = TIMES) -> Sample:
    """Have clients, and send them something some times.

    :param url: or several, with blanks between.
    :returns: ``cpu``, that of the gateway, and ``cpu_ROLE``, that of each role.
    """
    with Helper("benchmarks.load", _LIMIT, job="hold", url=url, clients=audience) as clients:
        ids = clients.hear("ready")["ids"]
        time.sleep(0.5)
        meter = CpuMeter(roles)
        took = 0.0
        reached = audience
        for _ in range(times):
            clients.ask("expect", clients=audience)
            with start(ids) as began:
                got = clients.ask("reached", seconds=_PATIENCE)
            took += got["at"] - began
            reached = min(reached, got["clients"])
        used = {role: 1000 * seconds / times for role, seconds in meter.used().items()}
    return {
        "cpu": used["gateway"],
        **{f"cpu_{role}": each for role, each in used.items()},
        "last": 1000 * took / times,
        "reached": reached,
    }


def push_once(requests: Requests) -> None:
    """Make the first of these requests.

    :raises Unmeasured: if it is refused.
    """
    status = status_of(requests.url, requests.lines[0], requests.content_type)
    if status >= 300:
        raise Unmeasured(f"{requests.url} answered {status}")
