"""A program that serves a UNIX socket, and ends with the gateway, even if the gateway is killed."""

import os
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory, ProcessProtocol, Protocol
from twisted.python.failure import Failure

from phpgw.process import guardian

_POLL_SECONDS = 0.05
STOP_SECONDS = 5
# Longer lines are logged in parts.
_MAX_LINE = 65536

_CONNECT_ONLY = Factory.forProtocol(Protocol)
_CONNECT_ONLY.noisy = False


class GuardedProcess(ProcessProtocol, ABC):
    """A process, from its start to its end.

    A subclass has a :meth:`log_line`, and removes the files that it has made for the process.

    :param socket: the UNIX socket on which it listens. The directory of it is removed if the
        gateway is killed.
    :param ready: called with this process once it accepts connections.
    :param unguarded: called with this process if its guardian ends first.
    :param ended: called with this process and a text about its end.
    :ivar socket: the same.
    """

    transport: Any

    def __init__(
        self,
        reactor: Any,
        socket: Path,
        *,
        ready: Callable[[Any], None],
        unguarded: Callable[[Any], None],
        ended: Callable[[Any, str], None],
    ) -> None:
        self.socket = socket
        self._reactor = reactor
        self._ready = ready
        self._unguarded = unguarded
        self._notify_ended = ended
        self._call: IDelayedCall | None = None
        self._partial_line = bytearray()
        self._is_starting = True
        self._is_guarded = True
        self._has_exited = False
        self._ended: Deferred[None] = Deferred()

    @abstractmethod
    def log_line(self, line: str) -> None:
        """Log a line that the process has printed."""

    def remove_files(self) -> None:
        """Remove what was made for the process."""
        self.socket.unlink(missing_ok=True)

    def spawn(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        descriptors: Mapping[int, int] | None = None,
    ) -> None:
        """Start the process, and poll its socket until it accepts connections.

        :param descriptors: which descriptors of this process it gets, by the numbers that it has
            for them; they are larger than that of the guardian.
        """
        directory = str(self.socket.parent)
        guarded = [sys.executable, "-I", "-S", guardian.__file__, directory, *command]
        pipes = {0: "w", 1: "r", 2: "r", guardian.WATCHED: "w", **(descriptors or {})}
        self._reactor.spawnProcess(
            self, sys.executable, guarded, env=dict(environment), childFDs=pipes
        )
        self._poll()

    def stop(self, seconds: float = STOP_SECONDS) -> Deferred[None]:
        """Stop the process; fire when it has ended.

        :param seconds: after so long it is killed.
        """
        self._is_starting = False
        self.signal(signal.SIGTERM)
        self.schedule(seconds, self._kill_group)
        return self._ended

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it has not ended."""
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess(number)

    def schedule(self, seconds: float, call: Callable[[], None]) -> None:
        """Schedule a call in place of the one that is scheduled, until the process ends."""
        self._cancel_call()
        if not self._has_exited:
            self._call = self._reactor.callLater(seconds, call)

    def connectionMade(self) -> None:
        """Close standard input, which such programs do not need."""
        self._group = self.transport.pid
        self.transport.closeStdin()

    def outReceived(self, data: bytes) -> None:
        """Log standard output like standard error."""
        self.errReceived(data)

    def errReceived(self, data: bytes) -> None:
        """Log complete lines."""
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._partial_line += line
            self._end_line()
        self._partial_line += rest
        if len(self._partial_line) > _MAX_LINE:
            self._end_line()

    def childConnectionLost(self, childFD: int) -> None:  # noqa: N802, N803
        """Report the end of the guardian."""
        if childFD != guardian.WATCHED:
            super().childConnectionLost(childFD)
            return
        self._is_guarded = False
        if not self._has_exited:
            self._unguarded(self)

    def processExited(self, reason: Failure) -> None:
        """Kill the children that are left, and end the guardian."""
        self._has_exited = True
        # Workers outlive a master that was killed, and would keep the pipes open.
        self._kill_group()
        if self._is_guarded:
            self.transport.writeToChild(guardian.WATCHED, b".")
            self.transport.closeChildFD(guardian.WATCHED)

    def processEnded(self, reason: Failure) -> None:
        """Remove the files, and report the end."""
        if self._partial_line:
            self._end_line()
        self._cancel_call()
        self.remove_files()
        error = reason.value
        how = "status 0"
        if isinstance(error, ProcessTerminated):
            how = f"signal {error.signal}" if error.signal else f"status {error.exitCode}"
        self._notify_ended(self, how)
        self._ended.callback(None)

    def _end_line(self) -> None:
        line = self._partial_line.decode("utf-8", "backslashreplace")
        self._partial_line.clear()
        self.log_line(line)

    def _poll(self) -> None:
        """Connect to the socket until that succeeds."""
        connecting = UNIXClientEndpoint(self._reactor, str(self.socket)).connect(_CONNECT_ONLY)
        connecting.addCallbacks(self._connected, self._poll_later)

    def _poll_later(self, failure: Failure) -> None:
        if self._is_starting:
            self.schedule(_POLL_SECONDS, self._poll)

    def _connected(self, protocol: Any) -> None:
        protocol.transport.loseConnection()
        if self._is_starting and not self._has_exited:
            self._is_starting = False
            self._ready(self)

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._group, signal.SIGKILL)

    def _cancel_call(self) -> None:
        if self._call is not None and self._call.active():
            self._call.cancel()
