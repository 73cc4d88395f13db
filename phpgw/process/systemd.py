"""Notifications to systemd, or a similar service manager (sd_notify(3)).

The service manager sets ``NOTIFY_SOCKET``. With ``WATCHDOG_USEC`` it restarts the process when the
notifications stop. The reactor sends them, so they stop when the reactor hangs.
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

# Seconds between two notifications. The watchdog may need them more often.
_DEFAULT_INTERVAL = 10.0
# Seconds that stopping may take in addition to the drain timeout.
_EXTRA_SECONDS = 15


class SystemdNotifier(Service):
    """A service that notifies the service manager. Without one, it does nothing.

    :param environment: contains the service manager's variables. They are removed, so that child
        processes cannot send notifications in the name of the gateway.
    :param when_ready: returns a Deferred that fires when the gateway is ready.
    :param status: returns the status, in one line.
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
        self._heartbeat = LoopingCall(self._send_heartbeat)
        self._heartbeat.clock = reactor
        self._is_stopping = False
        self._is_reloading = False
        self._has_logged_error = False

    def startService(self) -> None:
        super().startService()
        if self._address:
            # It stays open, since later there may be no free descriptor for a notification.
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
            # After all other calls at the reactor's start, for example that of the signal handlers.
            self._reactor.callWhenRunning(self._reactor.callLater, 0, self._await_readiness)

    def stopService(self) -> None:
        super().stopService()
        if self._heartbeat.running:
            self._heartbeat.stop()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def notify_reloading(self) -> None:
        """Notify that a reload begins. Call :meth:`notify_reloaded` when it is complete."""
        self._is_reloading = True
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def notify_reloaded(self) -> None:
        """Notify that the reload is complete."""
        self._is_reloading = False
        self._send("READY=1")

    def notify_stopping(self, seconds: float) -> None:
        """Notify that the gateway stops, and ask for enough time.

        :param seconds: the time that it may take. It replaces TimeoutStopSec of the unit file.
        """
        self._is_stopping = True
        microseconds = round((seconds + _EXTRA_SECONDS) * 1_000_000)
        self._send("STOPPING=1", f"EXTEND_TIMEOUT_USEC={microseconds}", f"STATUS={self._status()}")

    def _await_readiness(self) -> None:
        self._when_ready().addCallback(self._start_heartbeat)

    def _start_heartbeat(self, outcome: None) -> None:
        if self.running and not self._is_stopping:
            self._heartbeat.start(self._heartbeat_interval())

    def _heartbeat_interval(self) -> float:
        text = self._watchdog_usec
        microseconds = int(text) if text.isdecimal() and text.isascii() else 0
        # The variable may be meant for the parent process, whose environment was inherited.
        if not microseconds or self._watched_pid not in ("", str(os.getpid())):
            return _DEFAULT_INTERVAL
        return min(_DEFAULT_INTERVAL, microseconds / 2_000_000)

    def _send_heartbeat(self) -> None:
        # Repeat READY each time, in case a notification was lost.
        ready = () if self._is_stopping or self._is_reloading else ("READY=1",)
        self._send(*ready, f"STATUS={self._status()}", "WATCHDOG=1")

    def _send(self, *assignments: str) -> None:
        if self._socket is None:
            return
        # An abstract socket's name begins with a NUL: unix(7).
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        try:
            self._socket.sendto("\n".join(assignments).encode(), address)
        except OSError as error:
            if not self._has_logged_error:
                self._has_logged_error = True
                self.log.warn("The service manager does not listen: {error}", error=error)
