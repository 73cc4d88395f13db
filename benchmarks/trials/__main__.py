"""Faults of Redis, of the network and of nodes, while every push is accounted for.

Three gateways with clients share one Redis. At each of them, numbered messages are pushed to
clients, users, groups and all, and to groups that a client has just joined. Whatever happens, what
was told of each push must be what the browsers got.
"""

import argparse
import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from benchmarks.trials.faults import TRIALS, Trial
from benchmarks.trials.stage import Stage, stage
from tests.support.real.divided_network import may_divide_networks
from tests.support.real.waiting import pause

_HEAD = (
    f"{'':28}{'pushes':>8}{'delivered':>11}{'refused':>9}{'unknown':>9}{'longest':>9}{'wrong':>7}"
)
_SHOWN = 5


def main() -> None:
    """Do as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trials", description=__doc__)
    parser.add_argument("name", nargs="*", help="only trials with this in their name")
    names = parser.parse_args().name
    trials = [each for each in TRIALS if not names or any(name in each.name for name in names)]
    if not may_divide_networks():
        left_out = [each.name for each in trials if each.scene.is_divided]
        print(f"left out, since they need root: {', '.join(left_out) or 'none'}")
        trials = [each for each in trials if not each.scene.is_divided]

    def run(reactor: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(_run(trials))

    react(run, ())


async def _run(trials: list[Trial]) -> None:
    print(_HEAD, flush=True)
    wrong = 0
    for trial in trials:
        with stage(trial.scene) as place:
            try:
                wrong += await _try(trial, place)
            finally:
                await place.end()
    if wrong:
        print(f"{wrong} pushes are not what was told of them", file=sys.stderr)
        raise SystemExit(1)


async def _try(trial: Trial, place: Stage) -> int:
    await place.populate()
    place.start_pushing()
    await pause(1)
    await trial.fault(place)
    await place.stop_pushing()
    account = place.account
    errors = [*account.errors()]
    print(
        f"{trial.name:28}{len(account.pushes):8,}{account.delivered:11,}{account.refused:9,}"
        f"{account.unknown:9,}{account.longest:8.2f}s{len(errors):7,}",
        flush=True,
    )
    for error in errors[:_SHOWN]:
        print(f"    {error}")
    if "Traceback" in place.log:
        print(place.log[place.log.index("Traceback") - 300 :][:3000])
    return len(errors)


if __name__ == "__main__":
    main()
