"""One PHP-FPM process: its start, its end, its socket, and its log."""

import os
import re
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory, ProcessProtocol, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.backend.fpm import guardian
from phpgw.backend.fpm.config import FpmConfig
from phpgw.log_limit import line_limit

_POLL_SECONDS = 0.05
STOP_SECONDS = 5
# Longer lines are logged in parts.
_MAX_LINE = 65536
# How long events that were sent before it was replaced may wait for a worker.
_RETIRE_SECONDS = 0.2

# [24-Nov-2026 22:00:00] NOTICE: ready to handle connections
_LOG_LINE = re.compile(r"\[[^]]+\] (?P<level>[A-Z]+): (?P<text>.*)")

# Messages of scripts, which are also part of the reply to their event, and logged there.
_SCRIPT_MESSAGE = "NOTICE: PHP message: "
_TRACE_LINE = re.compile(r"Stack trace:|#\d+ |  thrown in ")

_CONNECT_ONLY = Factory.forProtocol(Protocol)
_CONNECT_ONLY.noisy = False


class FpmProcess(ProcessProtocol):
    """A master process of PHP-FPM, from its start to its end.

    :param directory: the directory for its files.
    :param number: part of the names of its files.
    :param ready: called with this process once it accepts connections.
    :param unguarded: called with this process if its guardian ends first.
    :param ended: called with this process and a text about its end.
    :ivar socket: the UNIX socket on which it listens.
    """

    log = Logger(observer=line_limit)
    transport: Any

    def __init__(
        self,
        reactor: Any,
        config: FpmConfig,
        directory: Path,
        number: int,
        *,
        ready: Callable[["FpmProcess"], None],
        unguarded: Callable[["FpmProcess"], None],
        ended: Callable[["FpmProcess", str], None],
    ) -> None:
        self.socket = directory / f"{number}.sock"
        self._reactor = reactor
        self._config = config
        self._configuration = directory / f"{number}.conf"
        self._ready = ready
        self._unguarded = unguarded
        self._notify_ended = ended
        self._call: IDelayedCall | None = None
        self._partial_line = bytearray()
        self._is_starting = True
        self._is_guarded = True
        self._has_exited = False
        self._retired: Deferred[None] = Deferred()
        self._ended: Deferred[None] = Deferred()

    def start(self) -> None:
        """Start the process, and poll its socket until it accepts connections.

        :raises Exception: if its configuration cannot be written.
        """
        self._configuration.write_text(self._config.text(self.socket))
        directory = str(self.socket.parent)
        python = [sys.executable, "-I", "-S", guardian.__file__, directory]
        command = [*python, *self._config.command(self._configuration)]
        pipes = {0: "w", 1: "r", 2: "r", guardian.WATCHED: "w"}
        self._reactor.spawnProcess(
            self, sys.executable, command, env=self._config.environment(), childFDs=pipes
        )
        self._poll()

    def retire(self) -> Deferred[None]:
        """Have the process end once its events are done.

        :returns: fires once it accepts no more events.
        """
        self._is_starting = False
        self._schedule(_RETIRE_SECONDS, self._quit)
        return self._retired

    def stop(self, seconds: float = STOP_SECONDS) -> Deferred[None]:
        """Stop the process; fire when it has ended.

        :param seconds: after so long it is killed.
        """
        self._is_starting = False
        self._signal(signal.SIGTERM)
        self._schedule(seconds, self._kill_group)
        return self._ended

    def connectionMade(self) -> None:
        """Close standard input, which PHP-FPM does not need."""
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

    def _end_line(self) -> None:
        line = self._partial_line.decode("utf-8", "backslashreplace")
        self._partial_line.clear()
        self._log_line(line)

    def childConnectionLost(self, childFD: int) -> None:  # noqa: N802, N803
        """Report the end of the guardian."""
        if childFD != guardian.WATCHED:
            super().childConnectionLost(childFD)
            return
        self._is_guarded = False
        if not self._has_exited:
            self._unguarded(self)

    def processExited(self, reason: Failure) -> None:
        """Kill the workers that are left, and end the guardian."""
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
        for path in (self.socket, self._configuration):
            path.unlink(missing_ok=True)
        error = reason.value
        how = "status 0"
        if isinstance(error, ProcessTerminated):
            how = f"signal {error.signal}" if error.signal else f"status {error.exitCode}"
        self._notify_ended(self, how)
        self._ended.callback(None)
        if not self._retired.called:
            self._retired.callback(None)

    def _poll(self) -> None:
        """Connect to the socket until that succeeds."""
        connecting = UNIXClientEndpoint(self._reactor, str(self.socket)).connect(_CONNECT_ONLY)
        connecting.addCallbacks(self._connected, self._poll_later)

    def _poll_later(self, failure: Failure) -> None:
        if self._is_starting:
            self._schedule(_POLL_SECONDS, self._poll)

    def _connected(self, protocol: Any) -> None:
        protocol.transport.loseConnection()
        if self._is_starting and not self._has_exited:
            self._is_starting = False
            self._ready(self)

    def _quit(self) -> None:
        self._signal(signal.SIGQUIT)
        self._retired.callback(None)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess(number)

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._group, signal.SIGKILL)

    def _schedule(self, seconds: float, call: Callable[[], None]) -> None:
        """Schedule a call in place of the one that is scheduled."""
        self._cancel_call()
        if not self._has_exited:
            self._call = self._reactor.callLater(seconds, call)

    def _cancel_call(self) -> None:
        if self._call is not None and self._call.active():
            self._call.cancel()

    def _log_line(self, line: str) -> None:
        """Log a line of PHP-FPM's log at its own level."""
        if line.startswith(_SCRIPT_MESSAGE) or _TRACE_LINE.match(line):
            return
        match = _LOG_LINE.match(line)
        level, text = (match["level"], match["text"]) if match else ("WARNING", line)
        emit = {
            "DEBUG": self.log.debug,
            "NOTICE": self.log.debug,
            "WARNING": self.log.warn,
        }.get(level, self.log.error)
        emit("PHP-FPM: {text}", text=repr(text)[1:-1])
