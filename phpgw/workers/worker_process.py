"""One process of a worker, as its parent sees it: from its start to its end."""

import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.log_limit import line_limit
from phpgw.workers.job import WorkerJob, worker_command, worker_environment
from phpgw.workers.messages import InvalidMessages, Message, MessageReader, encode_message

COMMANDS, REPORTS = 3, 4
"""The descriptors of a worker's pipes, from and to its parent."""

_FIRST_SOCKET = 5


class WorkerProcess(ProcessProtocol):
    """A process of a worker.

    :param name: of the worker, for the log.
    :param received: called with this process and a message that it has sent.
    :param ended: called with this process and a text about its end.
    :ivar ended: fires once it has ended.
    """

    log = Logger(observer=line_limit)
    transport: Any

    def __init__(
        self,
        reactor: Any,
        name: str,
        received: Callable[["WorkerProcess", Message], None],
        ended: Callable[["WorkerProcess", str], None],
    ) -> None:
        self._reactor = reactor
        self.name = name
        self._received = received
        self._notify_ended = ended
        self._reader = MessageReader()
        self._killing: IDelayedCall | None = None
        self.ended: Deferred[None] = Deferred()

    def start(self, job: WorkerJob, sockets: Mapping[str, int]) -> None:
        """Start the process.

        :param sockets: the descriptors of its listening sockets, by the texts of their endpoints.
        :raises OSError: if there is no process or descriptor left.
        """
        numbered = {text: _FIRST_SOCKET + index for index, text in enumerate(sockets)}
        descriptors: dict[int, int | str] = {0: 0, 1: 1, 2: 2, COMMANDS: "w", REPORTS: "r"}
        descriptors |= {numbered[text]: descriptor for text, descriptor in sockets.items()}
        self._reactor.spawnProcess(
            self,
            sys.executable,
            worker_command("main", str(job.number + 1)),
            env=worker_environment(),
            childFDs=descriptors,
        )
        self.tell("job", **attrs.asdict(job), sockets=numbered)

    def tell(self, kind: str, **fields: Any) -> None:
        """Send a message, unless the process is about to end."""
        # Its pipe may be closed before its end is known.
        with suppress(KeyError):
            self.transport.writeToChild(COMMANDS, encode_message(kind, **fields))

    def stop_within(self, seconds: float) -> Deferred[None]:
        """Have it drain and end; kill it after so many seconds.

        :returns: :attr:`ended`.
        """
        self.tell("stop")
        if self._killing is None and not self.ended.called:
            self._killing = self._reactor.callLater(seconds, self._kill_late, seconds)
        return self.ended

    def kill(self) -> None:
        """End it at once."""
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess(signal.SIGKILL)

    @property
    def pid(self) -> int | None:
        """Return the process's id; ``None`` before it has started, or after it has ended."""
        pid: int | None = getattr(self.transport, "pid", None)
        return pid

    def childDataReceived(self, childFD: int, data: bytes) -> None:  # noqa: N802, N803
        """Read messages; kill a process that sends something else."""
        try:
            for message in self._reader.feed(data):
                self._received(self, message)
        except InvalidMessages as error:
            self.log.error("{name} sends no messages: {reason}", name=self.name, reason=str(error))
            self.kill()

    def processEnded(self, reason: Failure) -> None:
        """Report the end."""
        if self._killing is not None and self._killing.active():
            self._killing.cancel()
        error = reason.value
        how = "status 0"
        if isinstance(error, ProcessTerminated):
            how = f"signal {error.signal}" if error.signal else f"status {error.exitCode}"
        self._notify_ended(self, how)
        self.ended.callback(None)

    def _kill_late(self, seconds: float) -> None:
        self.log.error(
            "{name} has not stopped within {seconds} s, and is killed",
            name=self.name,
            seconds=seconds,
        )
        self.kill()
