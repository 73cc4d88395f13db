"""A real program that is run to its end, in the reactor and without blocking it."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from tests.support.real.process import tied


class Ended(NamedTuple):
    """The end of a command; the status is negative for a signal."""

    status: int
    stdout: str
    stderr: str


class _Command(ProcessProtocol):
    transport: IProcessTransport

    def __init__(self) -> None:
        self.ended: Deferred[Ended] = Deferred(self._kill)
        self._stdout = bytearray()
        self._stderr = bytearray()

    def outReceived(self, data: bytes) -> None:
        self._stdout += data

    def errReceived(self, data: bytes) -> None:
        self._stderr += data

    def processEnded(self, reason: Failure) -> None:
        assert isinstance(reason.value, ProcessDone | ProcessTerminated)
        status = -reason.value.signal if reason.value.signal else reason.value.exitCode
        stdout, stderr = (each.decode(errors="replace") for each in (self._stdout, self._stderr))
        self.ended.callback(Ended(status, stdout, stderr))

    def _kill(self, ended: Deferred[Ended]) -> None:
        # Where it has ended by itself, word of that is on its way.
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess("KILL")


def run(
    arguments: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    directory: Path | None = None,
    timeout: float = 30.0,
) -> Deferred[Ended]:
    """Run a command to its end; after ``timeout`` seconds it is killed, and the result fails."""
    from twisted.internet import reactor

    command = _Command()
    line = tied(arguments)
    reactor.spawnProcess(
        command,
        line[0],
        line,
        env=os.environ if env is None else env,
        path=None if directory is None else str(directory),
    )
    return command.ended.addTimeout(timeout, reactor)
