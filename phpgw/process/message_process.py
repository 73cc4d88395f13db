"""A process that runs a program of this package, and exchanges messages with it."""

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

import phpgw
from phpgw.log_limit import line_limit
from phpgw.process.messages import (
    COMMANDS,
    REPORTS,
    InvalidMessages,
    Message,
    MessageReader,
    encode_message,
)

# Variables that are for the parent alone: sd_listen_fds(3), sd_notify(3).
_PARENT_VARIABLES = ("LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID", "NOTIFY_SOCKET", "WATCHDOG_USEC")
_FIRST_SOCKET = 5


def program_command(module: str, *arguments: str) -> list[str]:
    """Return the command line of a program of this package.

    Its modules are not looked for in the working directory.

    :param module: the program's name in the package, such as ``workers.main``.
    """
    return [sys.executable, "-P", "-m", f"phpgw.{module}", *arguments]


def program_environment() -> dict[str, str]:
    """Return the environment for it, in which its modules are found where the parent's are."""
    root = str(Path(phpgw.__file__).parents[1])
    inherited = {name: text for name, text in os.environ.items() if name not in _PARENT_VARIABLES}
    search_path = (root, inherited.get("PYTHONPATH", ""))
    return inherited | {"PYTHONPATH": os.pathsep.join(filter(None, search_path))}


class MessageProcess(ProcessProtocol):
    """A process of this package, from its start to its end.

    Its program ends by itself when this process does: see :mod:`phpgw.process.parent_pipe`.

    :param name: its name for the log.
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
        received: Callable[[Any, Message], None],
        ended: Callable[[Any, str], None],
    ) -> None:
        self._reactor = reactor
        self.name = name
        self._received = received
        self._notify_ended = ended
        self._reader = MessageReader()
        self._killing: IDelayedCall | None = None
        self.ended: Deferred[None] = Deferred()

    def spawn(
        self, command: Sequence[str], job: Mapping[str, Any], sockets: Mapping[str, int]
    ) -> None:
        """Start the process, and tell it its job.

        :param sockets: the descriptors of its listening sockets, by their names. In the message
            ``job`` it gets the numbers that they have there as ``sockets``.
        :raises OSError: if there is no process or descriptor left.
        """
        numbered = {name: _FIRST_SOCKET + index for index, name in enumerate(sockets)}
        descriptors: dict[int, int | str] = {0: 0, 1: 1, 2: 2, COMMANDS: "w", REPORTS: "r"}
        descriptors |= {numbered[name]: descriptor for name, descriptor in sockets.items()}
        self._reactor.spawnProcess(
            self, command[0], command, env=program_environment(), childFDs=descriptors
        )
        self.tell("job", **job, sockets=numbered)

    def tell(self, kind: str, **fields: Any) -> None:
        """Send a message, unless the process is about to end."""
        # Its pipe may be closed before its end is known.
        with suppress(KeyError):
            self.transport.writeToChild(COMMANDS, encode_message(kind, **fields))

    def stop_within(self, seconds: float, /, **fields: Any) -> Deferred[None]:
        """Have it drain and end; kill it after so many seconds.

        :param fields: what the message ``stop`` says.
        :returns: :attr:`ended`.
        """
        self.tell("stop", **fields)
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
