"""The signal handlers: SIGTERM and SIGINT stop, SIGHUP reloads, SIGUSR1 reopens the log.

SIGUSR2 replaces workers, where there are any.
"""

import os
import signal
import threading
from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.base import ReactorBase

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# A shell reports this status, plus the number of the signal, for a process ended by a signal.
_SIGNAL_STATUS = 128
# Seconds that threads may still run after the reactor has stopped.
_EXIT_TIMEOUT = 1


class GracefulSignals(Service):
    """A service that installs the signal handlers.

    The first SIGTERM or SIGINT stops the reactor, which drains the gateway. The second one ends the
    process. SIGHUP reloads the configuration. SIGUSR1 reopens the log file.

    twistd's own handlers send the signal again at the end of the process, so that the exit status
    reports a crash after a clean stop. twistd does not handle SIGHUP, which then ends the process.

    :param reload: called on SIGHUP.
    :param reopen_log: called on SIGUSR1.
    :param replace_workers: called on SIGUSR2, which ends a process that has no workers.
    """

    def __init__(
        self,
        reactor: ReactorBase,
        reload: Callable[[], object],
        reopen_log: Callable[[], None],
        replace_workers: Callable[[], object] | None = None,
    ) -> None:
        self._reactor = reactor
        self._reload = reload
        # By the signals that have one effect, whatever else happens.
        self._calls: dict[int, Callable[[], object]] = {signal.SIGUSR1: reopen_log}
        if replace_workers is not None:
            self._calls[signal.SIGUSR2] = replace_workers
        self._has_terminal = False
        # Before the thread pool adds its trigger, which waits for threads: at the first DNS lookup.
        reactor.addSystemEventTrigger("during", "shutdown", _exit_soon)

    def startService(self) -> None:
        super().startService()
        # After the reactor has installed its own handlers.
        self._reactor.callWhenRunning(self._install)

    def _install(self) -> None:
        self._has_terminal = _is_at_terminal()
        for number in _STOP_SIGNALS:
            signal.signal(number, self._handle_stop)
        signal.signal(signal.SIGHUP, self._handle_hangup)
        for each in self._calls:
            signal.signal(each, self._handle_call)

    def _handle_stop(self, number: int, frame: object) -> None:
        for each in _STOP_SIGNALS:
            signal.signal(each, _end_process)
        for ignored in (signal.SIGHUP, *self._calls):
            signal.signal(ignored, signal.SIG_IGN)
        self._reactor.callFromThread(self._reactor.stop)

    def _handle_hangup(self, number: int, frame: object) -> None:
        if self._has_terminal and not _is_at_terminal():
            # The terminal was closed. Nobody would notice a gateway that continues to run.
            self._handle_stop(number, frame)
        else:
            self._reactor.callFromThread(self._reload)

    def _handle_call(self, number: int, frame: object) -> None:
        self._reactor.callFromThread(self._calls[number])


def _end_process(number: int, frame: object) -> None:
    """End the process, as if by the signal."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    # Process 1 of a container is not ended by the signal.
    os._exit(_SIGNAL_STATUS + number)


def _exit_soon() -> None:
    """End the process after a short time, even if one of its threads is still running.

    A DNS lookup by the C library may take half a minute.
    """
    timer = threading.Timer(_EXIT_TIMEOUT, os._exit, (0,))
    timer.daemon = True
    timer.start()


def _is_at_terminal() -> bool:
    return os.isatty(0)
