"""``python -m conformance``: run the suite against a gateway, print what it found, write pages."""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from benchmarks.machine import describe
from conformance.fuzzing import FuzzingClient, run_all
from conformance.report import Outcome, Report, UnreadableReport
from conformance.suite import Catalogue, Suite, SuiteUnusable, split_into_runs
from conformance.testee import make_gateway
from phpgw import __version__
from tests.support.real.gateway import ROOT
from tests.support.real.process import MissingProgram

_VERSIONS = ("Twisted", "autobahn", "Python", "PHP-FPM")


def main() -> int:
    """Do as the command line says; return the exit status."""
    arguments = _parser().parse_args()
    signal.signal(signal.SIGTERM, _end)
    try:
        return _run(arguments)
    except (SuiteUnusable, UnreadableReport, MissingProgram) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def _run(arguments: argparse.Namespace) -> int:
    directory = arguments.directory.resolve()
    suite = Suite(directory / "python2.7")
    suite.prepare()
    catalogue = suite.catalogue()
    numbers = _select(catalogue, arguments.cases)
    pages = directory / "report"
    shutil.rmtree(pages, ignore_errors=True)
    pages.mkdir(parents=True)

    began = time.monotonic()
    found, log = _fuzz(suite, split_into_runs(numbers), pages, arguments)
    report = Report.of(numbers, found, catalogue.categories)
    about = _about(catalogue, time.monotonic() - began)
    (pages / "gateway.log").write_text(log)
    (pages / "index.html").write_text(report.page(about, split_into_runs(numbers)))

    print("", about, "", report.table(), *report.remarkable(), sep="\n")
    tracebacks = log.count("Traceback")
    if tracebacks:
        print(f"{tracebacks} tracebacks in the gateway's log")
    print(f"\nCase by case: {pages / 'index.html'}; the gateway's log is beside it.")
    return 0 if report.has_passed and not tracebacks else 1


def _fuzz(
    suite: Suite, runs: Mapping[str, Sequence[str]], pages: Path, arguments: argparse.Namespace
) -> tuple[dict[str, Outcome], str]:
    """Start a gateway, and let the fuzzing client at it.

    :returns: what was found, and the gateway's log.
    """
    found: dict[str, Outcome] = {}

    def ended(client: FuzzingClient) -> None:
        outcomes = client.outcomes()
        found.update(outcomes)
        count = f"{len(outcomes)} of {len(client.numbers)} cases"
        print(f"{client.directory.name}: {count}, {client.seconds:.0f} s", flush=True)

    with ExitStack() as exits:
        directory = Path(exits.enter_context(tempfile.TemporaryDirectory("-phpgw")))
        directory.chmod(0o755)
        gateway = make_gateway(directory)
        exits.callback(gateway.stop)
        gateway.start()
        clients = [
            FuzzingClient(pages / name, suite.wstest, gateway.ws_url, numbers, arguments.seconds)
            for name, numbers in runs.items()
        ]
        run_all(clients, arguments.jobs, ended)
        gateway.stop()
        return found, gateway.log


def _select(catalogue: Catalogue, patterns: Sequence[str]) -> list[str]:
    selected: set[str] = set()
    for pattern in patterns:
        meant = catalogue.select(pattern)
        if not meant:
            raise SuiteUnusable(f"the suite has no case {pattern}")
        selected |= meant
    return [number for number in catalogue.numbers if number in selected]


def _about(catalogue: Catalogue, seconds: float) -> str:
    machine = describe()
    versions = ", ".join(f"{name} {machine[name]}" for name in _VERSIONS)
    return (
        f"{datetime.now(UTC):%Y-%m-%d}: phpgw {__version__} with {versions}; "
        f"Autobahn|Testsuite {catalogue.version}; {seconds:.0f} s on {machine['processor']}"
    )


def _count(text: str) -> int:
    if (count := int(text)) < 1:
        raise ValueError
    return count


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m conformance", description=__doc__)
    parser.add_argument(
        "cases", nargs="*", default=["*"], metavar="CASE", help="9.1.6, '9.*', ...; default: all"
    )
    parser.add_argument(
        "--jobs",
        type=_count,
        default=os.cpu_count() or 1,
        metavar="N",
        help="fuzzing clients side by side (%(default)s)",
    )
    parser.add_argument(
        "--seconds",
        type=_count,
        default=900,
        help="that one of them may take (%(default)s; usual are 150)",
    )
    parser.add_argument(
        "--directory",
        type=Path,
        default=ROOT / "build" / "conformance",
        help="for the suite and its report (build/conformance)",
    )
    return parser


def _end(*_: object) -> NoReturn:
    # Whatever was started is stopped on the way out.
    raise SystemExit(143)


if __name__ == "__main__":
    sys.exit(main())
