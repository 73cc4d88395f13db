"""What SIGTERM, SIGINT, SIGHUP and SIGUSR1 do."""

import os
import signal
import threading
from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.base import ReactorBase

_STOPPING = (signal.SIGTERM, signal.SIGINT)
# What a shell reports of a process that a signal has ended: 128 and its number.
_ENDED_BY_SIGNAL = 128
# How long the process may go on once all is done.
_EXIT_SECONDS = 1


class GracefulSignals(Service):
    """The first SIGTERM or SIGINT stops the reactor, which drains the gateway; a second one ends
    the process. SIGHUP has the configuration read anew, SIGUSR1 the log file opened anew.

    twistd's own way is to repeat the signal to itself at the end, so that the exit status would
    tell of a crash where all went well. It leaves SIGHUP alone, which then ends the process.

    :param reload: what SIGHUP does.
    :param reopen_log: what SIGUSR1 does.
    """

    def __init__(
        self,
        reactor: ReactorBase,
        reload: Callable[[], object],
        reopen_log: Callable[[], None],
    ) -> None:
        self._reactor = reactor
        self._reload = reload
        self._reopen_log = reopen_log
        self._has_terminal = False
        # Before the thread pool adds its own, which waits: that happens with the first look-up.
        reactor.addSystemEventTrigger("during", "shutdown", _exit_soon)

    def startService(self) -> None:
        super().startService()
        # Once the reactor has installed its own.
        self._reactor.callWhenRunning(self._install)

    def _install(self) -> None:
        self._has_terminal = _is_at_terminal()
        for number in _STOPPING:
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._hang_up)
        signal.signal(signal.SIGUSR1, self._log_was_moved)

    def _stop(self, number: int, frame: object) -> None:
        for each in _STOPPING:
            signal.signal(each, _end)
        for each in (signal.SIGHUP, signal.SIGUSR1):
            signal.signal(each, signal.SIG_IGN)
        self._reactor.callFromThread(self._reactor.stop)

    def _hang_up(self, number: int, frame: object) -> None:
        if self._has_terminal and not _is_at_terminal():
            # It has been closed, and nobody would know of a gateway that goes on.
            self._stop(number, frame)
        else:
            self._reactor.callFromThread(self._reload)

    def _log_was_moved(self, number: int, frame: object) -> None:
        self._reactor.callFromThread(self._reopen_log)


def _end(number: int, frame: object) -> None:
    """End the process, as if by the signal."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    # The first process of a container is immune to that.
    os._exit(_ENDED_BY_SIGNAL + number)


def _exit_soon() -> None:
    """End the process before long, also if one of its threads does not end.

    The look-up of a name, which the C library does, may take half a minute.
    """
    timer = threading.Timer(_EXIT_SECONDS, os._exit, (0,))
    timer.daemon = True
    timer.start()


def _is_at_terminal() -> bool:
    return os.isatty(0)
