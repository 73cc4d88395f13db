"""Connect: handshakes a second, each followed by a close in good order."""

from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks.case import Case, Column
from benchmarks.contest import Contender, Sample
from benchmarks.cpu import CpuMeter, Roles
from benchmarks.helper import Helper
from benchmarks.stage import Stage
from benchmarks.subjects import Subject, ours
from benchmarks.wrk import post

_WORKERS = 16
# A connection costs the load generator more than it costs the Go gateway.
_PROCESSES = 2
_LIMIT = 120.0
_BOUND = "bound: Nginx, HTTP alone"


def contenders(stage: Stage, subjects: list[Subject]) -> Iterator[tuple[str, list[Contender]]]:
    """One variant."""
    entrants = [_gateway(stage, subject) for subject in ours(subjects)]
    yield f"{_WORKERS} at a time", [*entrants, _http(stage)]


CASE = Case(
    name="connect",
    title="Connect",
    columns=(
        Column("cpu_gateway", "gateway", 3, ratio=True),
        Column("rate", "connections/s", 0, ratio=True, of_bound=True),
        Column("cpu_load", "load", 3),
        Column("load_share", "load %", 0),
        Column("failures", "failures", 0),
    ),
    legend="gateway, load: the CPU seconds that these use for 1,000 connections; "
    "load %: of one core, for each of its processes",
    contenders=contenders,
)


def _gateway(stage: Stage, subject: Subject) -> Contender:
    def measure() -> Sample:
        return _connect(stage, subject.ws_url, {"gateway": subject.gateway_pids()})

    return Contender(subject.name, measure, _BOUND)


def _http(stage: Stage) -> Contender:
    """A connection for each request to a server that does nothing else."""

    def measure() -> Sample:
        meter = CpuMeter({"gateway": stage.nginx_pids()})
        outcome = post(
            stage.nothing_url,
            ["nothing"],
            connections=_WORKERS,
            seconds=stage.options.seconds,
            connection="close",
        )
        return {
            **meter.used_per_thousand(outcome.requests),
            "rate": outcome.rate,
            "failures": outcome.broken,
            "cpu_load": 1000 * outcome.cpu / outcome.requests,
            "load_share": 100 * outcome.cpu / outcome.seconds,
        }

    return Contender(_BOUND, measure)


def _connect(stage: Stage, url: str, roles: Roles) -> Sample:
    workers = _WORKERS // _PROCESSES
    job = {"job": "connect", "url": url, "workers": workers, "seconds": stage.options.seconds}
    with ExitStack() as exits:
        loads = [
            exits.enter_context(Helper("benchmarks.load", _LIMIT, **job)) for _ in range(_PROCESSES)
        ]
        for load in loads:
            load.hear("begin")
        meter = CpuMeter({**roles, "load": [load.pid for load in loads]})
        said = [load.hear("end") for load in loads]
        connections = sum(each["connections"] for each in said)
        # While they still run, or there is nothing left to read.
        used = meter.used_per_thousand(connections)
    rate = sum(each["connections"] / each["seconds"] for each in said)
    return {
        **used,
        "rate": rate,
        "failures": sum(each["failures"] for each in said),
        "load_share": used["cpu_load"] * rate / 10 / _PROCESSES,
    }
