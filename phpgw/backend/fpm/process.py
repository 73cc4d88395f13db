"""One running PHP-FPM: its master process, its socket, and what it writes to its log."""

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
# What has no end of a line by then is logged as one.
_LONGEST_LINE = 65536
# How long what was sent to it as it was replaced may wait for a worker.
_LAST_SECONDS = 0.2

# [24-Nov-2026 22:00:00] NOTICE: ready to handle connections
_LOG_LINE = re.compile(r"\[[^]]+\] (?P<level>[A-Z]+): (?P<text>.*)")

# What a script has logged, which comes with the answer to its event, too.
_SAID_WITH_EVENT = "NOTICE: PHP message: "

_KNOCKING = Factory.forProtocol(Protocol)
_KNOCKING.noisy = False


class FpmProcess(ProcessProtocol):
    """A master process, from its start to its end.

    :param directory: where its files go.
    :param number: tells its files from those of others there.
    :param ready: called with it once it takes connections.
    :param unguarded: called with it when its guardian has ended before it.
    :param ended: called with it, and how it has ended.
    :ivar socket: where it listens.
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
        self._tell_end = ended
        self._call: IDelayedCall | None = None
        self._rest = bytearray()
        self._is_awaited = True
        self._is_guarded = True
        self._has_exited = False
        self._told: Deferred[None] = Deferred()
        self._ended: Deferred[None] = Deferred()

    def start(self) -> None:
        """Start it.

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

    def finish(self) -> Deferred[None]:
        """Have it end once what it works on is done.

        :returns: fires once it begins nothing more.
        """
        self._is_awaited = False
        self._later(_LAST_SECONDS, self._quit)
        return self._told

    def stop(self, seconds: float = STOP_SECONDS) -> Deferred[None]:
        """End it; fires when it has.

        :param seconds: how long it may take to do so by itself.
        """
        self._is_awaited = False
        self._signal(signal.SIGTERM)
        self._later(seconds, self._kill_group)
        return self._ended

    def connectionMade(self) -> None:
        self._group = self.transport.pid
        self.transport.closeStdin()

    def outReceived(self, data: bytes) -> None:
        self.errReceived(data)

    def errReceived(self, data: bytes) -> None:
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._rest += line
            self._end_line()
        self._rest += rest
        if len(self._rest) > _LONGEST_LINE:
            self._end_line()

    def _end_line(self) -> None:
        line = self._rest.decode("utf-8", "backslashreplace")
        self._rest.clear()
        self._forward(line)

    def childConnectionLost(self, childFD: int) -> None:  # noqa: N802, N803
        if childFD != guardian.WATCHED:
            super().childConnectionLost(childFD)
            return
        self._is_guarded = False
        if not self._has_exited:
            self._unguarded(self)

    def processExited(self, reason: Failure) -> None:
        self._has_exited = True
        # Workers outlive a master that was killed, and would go on for ever, our pipes in hand.
        self._kill_group()
        if self._is_guarded:
            self.transport.writeToChild(guardian.WATCHED, b".")
            self.transport.closeChildFD(guardian.WATCHED)

    def processEnded(self, reason: Failure) -> None:
        if self._rest:
            self._end_line()
        self._cancel()
        for path in (self.socket, self._configuration):
            path.unlink(missing_ok=True)
        error = reason.value
        how = "status 0"
        if isinstance(error, ProcessTerminated):
            how = f"signal {error.signal}" if error.signal else f"status {error.exitCode}"
        self._tell_end(self, how)
        self._ended.callback(None)
        if not self._told.called:
            self._told.callback(None)

    def _poll(self) -> None:
        """Knock until it opens."""
        connecting = UNIXClientEndpoint(self._reactor, str(self.socket)).connect(_KNOCKING)
        connecting.addCallbacks(self._opened, self._not_yet)

    def _not_yet(self, failure: Failure) -> None:
        if self._is_awaited:
            self._later(_POLL_SECONDS, self._poll)

    def _opened(self, protocol: Any) -> None:
        protocol.transport.loseConnection()
        if self._is_awaited and not self._has_exited:
            self._is_awaited = False
            self._ready(self)

    def _quit(self) -> None:
        self._signal(signal.SIGQUIT)
        self._told.callback(None)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess(number)

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._group, signal.SIGKILL)

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        """Do one thing, in place of what was to come."""
        self._cancel()
        if not self._has_exited:
            self._call = self._reactor.callLater(seconds, call)

    def _cancel(self) -> None:
        if self._call is not None and self._call.active():
            self._call.cancel()

    def _forward(self, line: str) -> None:
        if line.startswith(_SAID_WITH_EVENT):
            return
        match = _LOG_LINE.match(line)
        level, text = (match["level"], match["text"]) if match else ("WARNING", line)
        emit = {
            "DEBUG": self.log.debug,
            "NOTICE": self.log.debug,
            "WARNING": self.log.warn,
        }.get(level, self.log.error)
        emit("PHP-FPM: {text}", text=repr(text)[1:-1])
