"""Round trips through one process, and through two that share the clients (``--workers``)."""

from collections.abc import Iterator

from benchmarks.case import Case, Column
from benchmarks.contest import Contender, Sample, Unmeasured
from benchmarks.roundtrip import round_trips
from benchmarks.stage import Stage
from benchmarks.subjects import NO_LIMITS, Subject
from tests.support.real.gateway import Gateway
from tests.support.real.process_table import descendants

_NUMBERS = (1, 2)


def contenders(stage: Stage, subjects: list[Subject]) -> Iterator[tuple[str, list[Contender]]]:
    """A variant for each number of clients."""
    gateways = {number: _gateway(stage, number) for number in _NUMBERS}
    try:
        for gateway in gateways.values():
            gateway.start()
        for clients in stage.options.clients:
            yield (
                f"{clients} client{'s' * (clients > 1)}",
                [
                    _round_trips(stage, number, gateway, clients)
                    for number, gateway in gateways.items()
                ],
            )
    except AssertionError as error:
        raise Unmeasured(str(error)) from error
    finally:
        for gateway in gateways.values():
            gateway.stop()


CASE = Case(
    name="workers",
    title="Round trip with workers",
    columns=(
        Column("cpu_gateway", "gateway", 3),
        Column("cpu_php", "php-fpm", 3),
        Column("rate", "messages/s", 0),
        Column("p50", "p50 ms", 2),
        Column("p99", "p99 ms", 2),
        Column("cpu_load", "load", 3),
        Column("load_share", "load %", 0),
    ),
    legend="gateway, php-fpm, load: the CPU seconds that these use for 1,000 messages; the gateway "
    "is the parent, its workers and its Redis together; load %: of one core",
    contenders=contenders,
)


def _gateway(stage: Stage, number: int) -> Gateway:
    return Gateway(
        stage.directory / f"workers{number}",
        f"--php-script={stage.script}",
        f"--php-fpm={stage.php_fpm.endpoint}",
        f"--php-concurrency={stage.options.workers}",
        f"--workers={number}",
        *NO_LIMITS,
    )


def _round_trips(stage: Stage, number: int, gateway: Gateway, clients: int) -> Contender:
    def measure() -> Sample:
        pids = [gateway.pid, *(each.pid for each in descendants(gateway.pid))]
        roles = {"gateway": pids, "php": stage.php_pids()}
        return round_trips(gateway.ws_url, clients, stage.options.seconds, roles)

    return Contender(f"{number} worker{'s' * (number > 1)}", measure)
