"""One PHP-FPM process: its start, its end, and its log."""

import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.backend.fpm.config import FpmConfig
from phpgw.log_limit import line_limit
from phpgw.process.guarded_process import GuardedProcess

# How long events that were sent before it was replaced may wait for a worker.
_RETIRE_SECONDS = 0.2

# [24-Nov-2026 22:00:00] NOTICE: ready to handle connections
_LOG_LINE = re.compile(r"\[[^]]+\] (?P<level>[A-Z]+): (?P<text>.*)")

# Messages of scripts, which are also part of the reply to their event, and logged there.
_SCRIPT_MESSAGE = "NOTICE: PHP message: "
_TRACE_LINE = re.compile(r"Stack trace:|#\d+ |  thrown in ")


class FpmProcess(GuardedProcess):
    """A master process of PHP-FPM, from its start to its end.

    See :class:`GuardedProcess` for the other parameters.

    :param directory: the directory for its files.
    :param number: part of the names of its files.
    """

    log = Logger(observer=line_limit)

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
        socket = directory / f"{number}.sock"
        super().__init__(reactor, socket, ready=ready, unguarded=unguarded, ended=ended)
        self._config = config
        self._configuration = directory / f"{number}.conf"
        self._retired: Deferred[None] = Deferred()

    def start(self) -> None:
        """Start the process.

        :raises Exception: if its configuration cannot be written.
        """
        self._configuration.write_text(self._config.text(self.socket))
        self.spawn(self._config.command(self._configuration), self._config.environment())

    def retire(self) -> Deferred[None]:
        """Have the process end once its events are done.

        :returns: fires once it accepts no more events.
        """
        self._is_starting = False
        self.schedule(_RETIRE_SECONDS, self._quit)
        return self._retired

    def remove_files(self) -> None:
        """Remove its socket and its configuration."""
        super().remove_files()
        self._configuration.unlink(missing_ok=True)

    def processEnded(self, reason: Failure) -> None:
        """Report the end."""
        super().processEnded(reason)
        if not self._retired.called:
            self._retired.callback(None)

    def _quit(self) -> None:
        self.signal(signal.SIGQUIT)
        self._retired.callback(None)

    def log_line(self, line: str) -> None:
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
