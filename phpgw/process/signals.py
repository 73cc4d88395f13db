"""What SIGTERM, SIGINT and SIGHUP do."""

import os
import signal
from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.base import ReactorBase

_STOPPING = (signal.SIGTERM, signal.SIGINT)


class GracefulSignals(Service):
    """The first SIGTERM or SIGINT stops the reactor, which drains the gateway; a second one ends
    the process. SIGHUP has the configuration read anew.

    twistd's own way is to repeat the signal to itself at the end, so that the exit status would
    tell of a crash where all went well. It leaves SIGHUP alone, which then ends the process.

    :param reload: what SIGHUP does.
    """

    def __init__(self, reactor: ReactorBase, reload: Callable[[], object]) -> None:
        self._reactor = reactor
        self._reload = reload
        self._has_terminal = False

    def startService(self) -> None:
        super().startService()
        # Once the reactor has installed its own.
        self._reactor.callWhenRunning(self._install)

    def _install(self) -> None:
        self._has_terminal = _is_at_terminal()
        for number in _STOPPING:
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._hang_up)

    def _stop(self, number: int, frame: object) -> None:
        for each in _STOPPING:
            signal.signal(each, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self._reactor.callFromThread(self._reactor.stop)

    def _hang_up(self, number: int, frame: object) -> None:
        if self._has_terminal and not _is_at_terminal():
            # It has been closed, and nobody would know of a gateway that goes on.
            self._stop(number, frame)
        else:
            self._reactor.callFromThread(self._reload)


def _is_at_terminal() -> bool:
    return os.isatty(0)
