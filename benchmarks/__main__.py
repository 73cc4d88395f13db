"""``python -m benchmarks``: measure, print tables, write a file of results."""

import argparse
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from benchmarks.contest import Unmeasured, take_rounds
from benchmarks.machine import describe
from benchmarks.results import CASES, DEFAULT_PATH, Results
from benchmarks.stage import Options, Stage
from benchmarks.subjects import Subject, start_subjects
from tests.support.real.gateway import ROOT
from tests.support.real.process import MissingProgram

_GO_BUILDER = ROOT.parent / "shared" / "peers" / "seed-gateway"


def main() -> int:
    """Do as the command line says; return the exit status."""
    arguments = _parser().parse_args()
    signal.signal(signal.SIGTERM, _end)
    began = time.monotonic()
    options = Options(
        seconds=arguments.seconds,
        rounds=arguments.rounds,
        clients=tuple(arguments.clients),
        audience=arguments.audience,
        idle=arguments.idle,
        workers=arguments.workers,
        port=arguments.port,
        peers=dict(arguments.peer),
        go_builder=arguments.go_builder,
    )
    conditions = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "seconds": options.seconds,
        "rounds": options.rounds,
        "workers": options.workers,
    }
    results = Results(describe(), conditions)
    try:
        with Stage(options, _report) as stage:
            _measure(stage, arguments.only or list(CASES), results)
    except MissingProgram as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    results.write(arguments.json)
    print(f"{time.monotonic() - began:.0f} s; all samples are in {arguments.json}")
    return 0


def _measure(stage: Stage, names: list[str], results: Results) -> None:
    subjects: list[Subject] = []
    if any(CASES[name].needs_gateways for name in names):
        subjects, results.notes = start_subjects(stage)
    for name in names:
        rows = results.rows[name] = []
        try:
            for variant, contenders in CASES[name].contenders(stage, subjects):
                rows += take_rounds(variant, contenders, stage.options.rounds, stage.report)
        except Unmeasured as error:
            results.notes.append(f"{CASES[name].title} is left out: {error}")
        _report("")
        print(results.tables(name), flush=True)
    for note in results.notes:
        print(f"({note})")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--seconds", type=int, default=3, help="that one sample takes (%(default)s)"
    )
    parser.add_argument(
        "--rounds", type=int, default=3, help="samples of each contender (%(default)s)"
    )
    parser.add_argument(
        "--only", type=_names, metavar="CASE,...", help=f"of {', '.join(CASES)}; default: all"
    )
    parser.add_argument(
        "--clients",
        type=_numbers,
        default=[1, 32, 256],
        metavar="N,...",
        help="of the round trip (1,32,256)",
    )
    parser.add_argument(
        "--audience", type=int, default=5000, help="clients of a broadcast (%(default)s)"
    )
    parser.add_argument(
        "--idle", type=int, default=10000, help="clients that do nothing (%(default)s)"
    )
    parser.add_argument(
        "--workers", type=int, default=8, help="of the PHP-FPM that all share (%(default)s)"
    )
    parser.add_argument(
        "--peer",
        type=_peer,
        action="append",
        default=[],
        metavar="NAME=ws://127.0.0.1:PORT/PATH",
        help="one more gateway, which runs already; may be repeated",
    )
    parser.add_argument(
        "--port", type=int, help="Nginx's, so that such a gateway can find /websocket.php there"
    )
    parser.add_argument(
        "--go-builder",
        type=Path,
        default=_GO_BUILDER,
        metavar="PROGRAM",
        help="builds the Go gateway, given DIRECTORY PHP_URL LISTEN, and prints its path",
    )
    parser.add_argument(
        "--json", type=Path, default=DEFAULT_PATH, metavar="FILE", help="where samples are written"
    )
    return parser


def _names(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in CASES:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(CASES)}")
    return names


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def _peer(text: str) -> tuple[str, str]:
    name, separator, url = text.partition("=")
    if not separator or not url.startswith("ws://"):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=ws://...")
    return name, url


def _report(text: str) -> None:
    """What happens at the moment, on one line that is written over again."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
    elif text:
        print(text, file=sys.stderr, flush=True)


def _end(*_: object) -> NoReturn:
    # Whatever was started is stopped on the way out.
    raise SystemExit(143)


if __name__ == "__main__":
    sys.exit(main())
