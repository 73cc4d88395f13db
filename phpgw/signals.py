"""What SIGTERM and SIGINT do."""

import signal

from twisted.application.service import Service
from twisted.internet.base import ReactorBase

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class GracefulSignals(Service):
    """The first signal stops the reactor, which drains the gateway; a second one ends the process.

    twistd's own way is to repeat the signal to itself at the end, so that the exit status would
    tell of a crash where all went well.
    """

    def __init__(self, reactor: ReactorBase) -> None:
        self._reactor = reactor

    def startService(self) -> None:
        super().startService()
        # Once the reactor has installed its own.
        self._reactor.callWhenRunning(self._install)

    def _install(self) -> None:
        for number in _SIGNALS:
            signal.signal(number, self._stop)

    def _stop(self, number: int, frame: object) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        self._reactor.callFromThread(self._reactor.stop)
