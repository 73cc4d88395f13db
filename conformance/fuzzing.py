"""The fuzzing client at work: runs of it, a few side by side, each bounded in time."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from conformance.report import Outcome, read_index
from tests.support.real.process import Process

_POLL_SECONDS = 0.2


class FuzzingClient(Process):
    """One run of the suite's client: it goes through its cases, writes its report, and ends.

    :param directory: for its report, and its log.
    :param wstest: the suite's program.
    :param url: where the gateway is.
    :param numbers: of its cases.
    :param seconds: that it may take.
    :ivar numbers: of its cases.
    """

    name = "wstest"
    stop_timeout = 5.0

    def __init__(
        self, directory: Path, wstest: Path, url: str, numbers: Sequence[str], seconds: float
    ) -> None:
        self.numbers = numbers
        self._url = url
        self._seconds = seconds
        self._began = self._ended = 0.0
        self._specification = directory / "specification.json"
        arguments = [str(wstest), "--mode", "fuzzingclient", "--spec", str(self._specification)]
        super().__init__(directory, arguments)

    def configure(self) -> None:
        specification = {
            "outdir": str(self.directory),
            "servers": [{"agent": "phpgw", "url": self._url}],
            "cases": self.numbers,
            "exclude-cases": [],
            "exclude-agent-cases": {},
        }
        self._specification.write_text(json.dumps(specification))
        self._began = time.monotonic()

    def poll(self) -> bool:
        """End it if its time is up; return whether it has ended."""
        has_ended = not self.is_running or self.seconds > self._seconds
        if has_ended:
            self._ended = time.monotonic()
            self.stop()
        return has_ended

    @property
    def seconds(self) -> float:
        """How long it has been at it."""
        return (self._ended or time.monotonic()) - self._began

    def outcomes(self) -> Mapping[str, Outcome]:
        """What it has found, once it has ended.

        :raises conformance.report.UnreadableReport: if it wrote something else.
        """
        return read_index(self.directory / "index.json")


def run_all(
    clients: Sequence[FuzzingClient], side_by_side: int, ended: Callable[[FuzzingClient], None]
) -> None:
    """Run these clients to their ends, so many at a time; none of them is left at the end.

    :param ended: is told of each that has.
    """
    waiting = list(reversed(clients))
    running: list[FuzzingClient] = []
    with ExitStack() as exits:
        while waiting or running:
            while waiting and len(running) < side_by_side:
                client = waiting.pop()
                exits.callback(client.stop)
                running.append(client.start())
            time.sleep(_POLL_SECONDS)
            for client in [each for each in running if each.poll()]:
                running.remove(client)
                ended(client)
