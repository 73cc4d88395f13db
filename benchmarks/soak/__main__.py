"""``python -m benchmarks.soak``: mixed load, PHP-FPM restarted now and then, the gateway watched.

It fails if a message was not answered exactly once, if one to a group came twice, late or never,
if anything is left when all have gone, and if the gateway's memory or its objects grow.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.internet.threads import deferToThread

from benchmarks.machine import describe
from benchmarks.soak.ledger import Ledger
from benchmarks.soak.lives import come_and_go, follow_streams, listen, push, read_nothing, talk
from benchmarks.soak.plot import draw
from benchmarks.soak.record import End, Record
from benchmarks.soak.verdict import failures, memory, objects
from benchmarks.soak.world import World
from tests.support.real.gateway import ROOT
from tests.support.real.measured_gateway import MeasuredGateway
from tests.support.real.php_fpm import PhpFpm
from tests.support.real.waiting import pause

_SCRIPT = Path(__file__).with_name("script.php")
_OPTIONS = (
    *("--events", "connect,disconnect", "--on-error", "reply", "--timer", "clock=1s"),
    *("--compression", "on", "--max-outbox", "256K", "--ping-interval", "5s"),
)
_GROUPS = {f"room-{number}": 10 for number in range(20)}
_TALKERS, _IDLE, _VISITORS, _FOLLOWERS = 40, 300, 10, 2
_DISTURB_EVERY = 20
# How long it may take until nothing is left when all have gone.
_PATIENCE = 10


def main() -> None:
    """Do as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5, help="how long (default: 5)")
    parser.add_argument("--seed", type=int, default=1, help="what chance goes by")
    parser.add_argument(
        "--output",
        type=Path,
        default=ROOT / "build" / "soak",
        help="directory for soak.json and soak.svg (default: build/soak)",
    )
    arguments = parser.parse_args()

    def soak(reactor: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(_soak(arguments))

    react(soak, ())


async def _soak(arguments: argparse.Namespace) -> None:
    print(f"{arguments.minutes:g} minutes begin", flush=True)
    with _stage() as (php, gateway):
        record = await _run(arguments, php, gateway)
    arguments.output.mkdir(parents=True, exist_ok=True)
    conditions = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "minutes": arguments.minutes}
    record.write(arguments.output / "soak.json", machine=describe(), conditions=conditions)
    draw(record, arguments.output / "soak.svg")
    _report(record)
    failed = list(failures(record))
    for each in failed:
        print(f"FAILED: {each}", file=sys.stderr)
    print(f"{'Failed' if failed else 'Passed'}; all is in {arguments.output}")
    if failed:
        raise SystemExit(1)


@contextmanager
def _stage() -> Iterator[tuple[PhpFpm, MeasuredGateway]]:
    """PHP-FPM, and a gateway before it, for as long as they are needed."""
    with tempfile.TemporaryDirectory(prefix="phpgw-") as name:
        directory = Path(name)
        root = directory / "root"
        root.mkdir()
        script = root / "websocket.php"
        script.write_text(_SCRIPT.read_text())
        php = PhpFpm(directory / "php", root, workers=8, main={"process_control_timeout": "10s"})
        upstream = ("--php-script", str(script), "--php-fpm", php.endpoint)
        gateway = MeasuredGateway(directory / "gateway", *upstream, *_OPTIONS)
        try:
            php.start()
            gateway.start()
            yield php, gateway
        finally:
            gateway.stop()
            php.stop()


async def _run(arguments: argparse.Namespace, php: PhpFpm, gateway: MeasuredGateway) -> Record:
    ledger = Ledger()
    world = World(gateway.port, Random(arguments.seed), ledger)
    record = Record(ledger)
    await world.stats()
    # Without the connection over which that was asked, which is kept.
    open_files = gateway.open_files - 1
    await _populate(world)
    world.live(record.keep(gateway, world))
    world.live(_disturb(world, php, record))
    while record.seconds < 60 * arguments.minutes:
        await pause(1)
    await world.end()

    async def is_quiet() -> bool:
        return not _gauges(await world.stats())

    async def is_closed() -> bool:
        return gateway.open_files <= open_files

    await _within_patience(is_quiet)
    gauges = _gauges(await world.stats())
    await _within_patience(is_closed)
    left = max(0, gateway.open_files - open_files)
    record.end = End(gauges, left, status=await deferToThread(gateway.stop))
    return record


async def _populate(world: World) -> None:
    """Have everybody come."""
    for number in range(_TALKERS):
        world.live(await talk(world, number))
    for group, members in _GROUPS.items():
        for _ in range(members):
            world.live(await listen(world, group))
    for _ in range(_IDLE):
        world.live(await listen(world, "idle"))
    for _ in range(_FOLLOWERS):
        world.live(await follow_streams(world))
    for _ in range(_VISITORS):
        world.live(come_and_go(world))
    world.live(read_nothing(world))
    world.live(push(world, _GROUPS))


async def _disturb(world: World, php: PhpFpm, record: Record) -> None:
    """Reload PHP-FPM, restart it, reload it, and so on."""
    while not await world.over_within(_DISTURB_EVERY):
        record.disturbances.append(record.seconds)
        if len(record.disturbances) % 2:
            php.reload()
        else:
            await deferToThread(php.stop)
            php.start()


async def _within_patience(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for a condition, but not for ever: whatever does not come true shows in the record."""
    deadline = time.monotonic() + _PATIENCE
    while not await condition() and time.monotonic() < deadline:
        await pause(0.1)


def _gauges(stats: dict[str, int]) -> dict[str, int]:
    """The numbers of what is there now, as far as they are not 0."""
    return {name: value for name, value in stats.items() if name.endswith("_now") and value}


def _report(record: Record) -> None:
    """Tell what happened."""
    ledger, samples = record.ledger, record.samples
    print(
        f"{ledger.asked:,} messages asked of PHP, {ledger.answered:,} answered, "
        f"{ledger.failed:,} failed in {len(record.disturbances)} reloads and restarts\n"
        f"{ledger.pushed:,} pushes to groups, received {ledger.received:,} times; "
        f"{ledger.streamed:,} lines streamed\n"
        f"{ledger.visits:,} clients came and went, {ledger.turned_away:,} had to come again; "
        f"{ledger.slow_closed:,} slow ones were closed\n"
        f"processor: {samples[-1].processor / samples[-1].seconds:.0%} of one"
    )
    for curve, level in (
        (memory(record), f"{memory(record).level / 2**20:,.1f} MB of memory"),
        (objects(record), f"{objects(record).level:,.0f} objects"),
    ):
        print(f"{level}: {curve.growth:+.2%} in {curve.seconds:.0f} s after the warm-up")


if __name__ == "__main__":
    main()
