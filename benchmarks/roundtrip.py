"""Round trip: a message to PHP and its answer back, in a closed loop of so many clients."""

from collections.abc import Iterator

import attrs

from benchmarks.case import Case, Column
from benchmarks.contest import Contender, Sample, Unmeasured
from benchmarks.cpu import CpuMeter, Roles
from benchmarks.helper import Helper
from benchmarks.stage import Stage
from benchmarks.subjects import BEHIND_NGINX, BY_FASTCGI, Subject, start_subjects
from benchmarks.wrk import post
from tests.support.real.process import free_port

_LOAD = "load generator alone: echo"
# All that takes part, but for the load generator.
_SERVERS = ("gateway", "nginx", "php")
# What the gateways send for a message.
_BODY = f"type=server&client_id=127.0.0.1:50000&message={'x' * 48}"
_LIMIT = 120.0
# So many a PHP-FPM has as Debian installs it.
_FEW_WORKERS = 5


def contenders(stage: Stage, subjects: list[Subject]) -> Iterator[tuple[str, list[Contender]]]:
    """A variant for each number of clients."""
    for clients in stage.options.clients:
        bounds = [_by_fastcgi(stage, clients), _behind_nginx(stage, clients), _echo(stage, clients)]
        gateways = [_gateway(stage, subject, clients) for subject in subjects]
        yield f"{clients} client{'s' * (clients > 1)}", gateways + bounds


CASE = Case(
    name="roundtrip",
    title="Round trip",
    columns=(
        Column("cpu_gateway", "gateway", 3, ratio=True),
        Column("cpu_nginx", "nginx", 3),
        Column("cpu_php", "php-fpm", 3),
        Column("cpu_all", "all", 3, ratio=True),
        Column("rate", "messages/s", 0, ratio=True, of_bound=True),
        Column("p50", "p50 ms", 2, ratio=True),
        Column("p99", "p99 ms", 2, ratio=True),
        Column("cpu_load", "load", 3),
        Column("load_share", "load %", 0),
    ),
    legend="gateway, nginx, php-fpm, load: the CPU seconds that these use for 1,000 messages; "
    "all: the first three; load %: of one core",
    contenders=contenders,
)


def _with_few_workers(
    stage: Stage, subjects: list[Subject]
) -> Iterator[tuple[str, list[Contender]]]:
    """The same with all gateways started anew beside a small PHP-FPM."""
    clients = tuple(number for number in stage.options.clients if number > _FEW_WORKERS)
    options = attrs.evolve(
        stage.options, workers=_FEW_WORKERS, clients=clients, port=None, peers={}
    )
    with Stage(options, stage.report) as small:
        yield from contenders(small, start_subjects(small)[0])


FEW_WORKERS_CASE = attrs.evolve(
    CASE,
    name="few-workers",
    title=f"Round trip with {_FEW_WORKERS} PHP-FPM workers",
    contenders=_with_few_workers,
)


def _gateway(stage: Stage, subject: Subject, clients: int) -> Contender:
    def measure() -> Sample:
        try:
            return round_trips(subject.ws_url, clients, stage.options.seconds, subject.roles())
        except Unmeasured as error:
            raise Unmeasured(f"{error}{subject.last_words()}") from error

    return Contender(subject.name, measure, subject.bound)


def round_trips(url: str, clients: int, seconds: int, roles: Roles) -> Sample:
    """Have so many clients make round trips for so long.

    :raises Unmeasured: if a client got no answer, or a wrong one.
    """
    job = {"job": "roundtrip", "url": url, "clients": clients, "seconds": seconds}
    with Helper("benchmarks.load", _LIMIT, **job) as load:
        sample = _watch(load, roles)
    for trouble in ("silent", "wrong"):
        if sample[trouble]:
            raise Unmeasured(f"{trouble}: {sample[trouble]:.0f} of {clients} clients")
    return sample


def _watch(load: Helper, roles: Roles) -> Sample:
    """One sample of a load generator that says when it begins and ends."""
    load.hear("begin")
    meter = CpuMeter({**roles, "load": [load.pid]})
    said = load.hear("end")
    sample: Sample = {key: value for key, value in said.items() if key != "say"}
    sample["rate"] = said["messages"] / said["seconds"]
    sample |= _cpu(meter, said["messages"])
    return {**sample, "load_share": sample["cpu_load"] * sample["rate"] / 10}


def _cpu(meter: CpuMeter, messages: float) -> Sample:
    used = meter.used_per_thousand(messages)
    return {**used, "cpu_all": sum(used.get(f"cpu_{each}", 0.0) for each in _SERVERS)}


def _by_fastcgi(stage: Stage, clients: int) -> Contender:
    """PHP-FPM alone. Each kept connection takes a worker."""
    connections = min(clients, stage.options.workers)

    def measure() -> Sample:
        with Helper(
            "benchmarks.fastcgi",
            _LIMIT,
            job="roundtrip",
            path=stage.php_fpm.fastcgi_pass.removeprefix("unix:"),
            script=str(stage.script),
            body=_BODY,
            connections=connections,
            seconds=stage.options.seconds,
        ) as load:
            sample = _watch(load, {"php": stage.php_pids()})
        if connections < clients:
            # No latencies of so many clients.
            del sample["p50"], sample["p99"]
        return sample

    return Contender(BY_FASTCGI, measure)


def _behind_nginx(stage: Stage, clients: int) -> Contender:
    """The way that gateways take over HTTP, without a gateway."""

    def measure() -> Sample:
        meter = CpuMeter({"nginx": stage.nginx_pids(), "php": stage.php_pids()})
        seconds = stage.options.seconds
        outcome = post(stage.php_url, [_BODY], connections=clients, seconds=seconds)
        return {
            **_cpu(meter, outcome.requests),
            "rate": outcome.rate,
            "p50": outcome.p50,
            "p99": outcome.p99,
            "cpu_load": 1000 * outcome.cpu / outcome.requests,
            "load_share": 100 * outcome.cpu / outcome.seconds,
        }

    return Contender(BEHIND_NGINX, measure)


def _echo(stage: Stage, clients: int) -> Contender:
    """What the load generator can do where the other end is a bare echo."""

    def measure() -> Sample:
        port = free_port()
        with Helper("benchmarks.bare", _LIMIT, job="serve", port=port) as server:
            server.hear("ready")
            roles = {"gateway": [server.pid]}
            url = f"ws://127.0.0.1:{port}/"
            return round_trips(url, clients, min(2, stage.options.seconds), roles)

    # It depends on nothing that is compared here.
    return Contender(_LOAD, measure, rounds=1)
