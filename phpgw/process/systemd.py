"""What the service manager gets to know, by the protocol of sd_notify(3): systemd, or one like it.

It started us, tells us where it listens (``NOTIFY_SOCKET``), and restarts us if we fall silent
(``WATCHDOG_USEC``). Each word comes from the reactor, so one that hangs says nothing.
"""

import os
import socket
import time
from collections.abc import Callable, MutableMapping
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from phpgw.log_limit import line_limit

# Seconds between two words where there is no watchdog, which may want them more often.
_USUAL_INTERVAL = 10.0
# What stopping may take beyond the time that it is given.
_EXTRA_SECONDS = 15


class SystemdNotifier(Service):
    """Tells the service manager how things are; without one, it tells nobody.

    :param environment: where the service manager has left its variables, which are taken away from
        there: the processes that we start are not to speak in our name.
    :param when_ready: fires once we can be put to use.
    :param status: how things are, in one line.
    """

    log = Logger(observer=line_limit)

    def __init__(
        self,
        reactor: Any,
        environment: MutableMapping[str, str],
        when_ready: Callable[[], Deferred[None]],
        status: Callable[[], str],
    ) -> None:
        self._reactor = reactor
        self._when_ready = when_ready
        self._status = status
        self._address = environment.pop("NOTIFY_SOCKET", "")
        self._watchdog_usec = environment.pop("WATCHDOG_USEC", "")
        self._watched_pid = environment.pop("WATCHDOG_PID", "")
        self._socket: socket.socket | None = None
        self._beating = LoopingCall(self._beat)
        self._beating.clock = reactor
        self._is_stopping = False
        self._is_reloading = False
        self._has_complained = False

    def startService(self) -> None:
        super().startService()
        if self._address:
            # Kept, since there may be no descriptor left when the watchdog has to be fed.
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
            # After all others that wait for the reactor, such as those who handle signals.
            self._reactor.callWhenRunning(self._reactor.callLater, 0, self._begin)

    def stopService(self) -> None:
        super().stopService()
        if self._beating.running:
            self._beating.stop()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def reloading(self) -> None:
        """The configuration is about to be read again; :meth:`reloaded` follows."""
        self._is_reloading = True
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def reloaded(self) -> None:
        """It has been read."""
        self._is_reloading = False
        self._tell("READY=1")

    def stopping(self, seconds: float) -> None:
        """We are about to stop, and may take so long for it, whatever the unit file says."""
        self._is_stopping = True
        microseconds = round((seconds + _EXTRA_SECONDS) * 1_000_000)
        self._tell("STOPPING=1", f"EXTEND_TIMEOUT_USEC={microseconds}", f"STATUS={self._status()}")

    def _begin(self) -> None:
        self._when_ready().addCallback(self._ready)

    def _ready(self, outcome: None) -> None:
        if self.running and not self._is_stopping:
            self._beating.start(self._interval())

    def _interval(self) -> float:
        text = self._watchdog_usec
        microseconds = int(text) if text.isdecimal() and text.isascii() else 0
        # It may be meant for another process, whose environment we have inherited.
        if not microseconds or self._watched_pid not in ("", str(os.getpid())):
            return _USUAL_INTERVAL
        return min(_USUAL_INTERVAL, microseconds / 2_000_000)

    def _beat(self) -> None:
        # Said again each time, in case it has not been heard.
        ready = () if self._is_stopping or self._is_reloading else ("READY=1",)
        self._tell(*ready, f"STATUS={self._status()}", "WATCHDOG=1")

    def _tell(self, *assignments: str) -> None:
        if self._socket is None:
            return
        # An abstract socket's name begins with a NUL: unix(7).
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        try:
            self._socket.sendto("\n".join(assignments).encode(), address)
        except OSError as error:
            if not self._has_complained:
                self._has_complained = True
                self.log.warn("The service manager does not listen: {error}", error=error)
