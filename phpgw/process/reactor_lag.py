"""The reactor's lag: how late it makes a call, since something else keeps it busy."""

from typing import Any

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall

from phpgw.histogram import Histogram

# Seconds from one measurement to the next. Each takes about 10 us.
_INTERVAL = 1.0


class ReactorLag(Service):
    """A service that measures the lag once a second.

    :param lag: takes what is measured.
    """

    def __init__(self, reactor: Any, lag: Histogram) -> None:
        self._reactor = reactor
        self._lag = lag
        self._due = 0.0
        self._call: IDelayedCall | None = None

    def startService(self) -> None:
        super().startService()
        self._schedule()

    def stopService(self) -> None:
        super().stopService()
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _schedule(self) -> None:
        self._due = self._reactor.seconds() + _INTERVAL
        self._call = self._reactor.callLater(_INTERVAL, self._measure)

    def _measure(self) -> None:
        self._lag.observe(max(0.0, self._reactor.seconds() - self._due))
        self._schedule()
