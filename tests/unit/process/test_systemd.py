"""Tests for :mod:`phpgw.process.systemd`."""

import os
import socket
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from phpgw.process.systemd import SystemdNotifier


class ServiceManager:
    """A socket for notifications, as systemd has."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.setblocking(False)
        self.close = self._socket.close

    def heard(self) -> list[list[str]]:
        """Return the messages since the last call, each as a list of lines."""
        messages = []
        while True:
            try:
                messages.append(self._socket.recv(4096).decode().split("\n"))
            except BlockingIOError:
                return messages


class NotifierTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        # Relative, since a socket's path must be short.
        self.manager = self.listen(self.mktemp() + ".sock")
        self.ready: Deferred[None] = Deferred()

    def listen(self, address: str) -> ServiceManager:
        self.address = address
        if not address.startswith("\0"):
            Path(address).parent.mkdir(exist_ok=True)
        manager = ServiceManager(address)
        self.addCleanup(manager.close)
        return manager

    def start(self, **environment: str) -> SystemdNotifier:
        self.reactor: Any = MemoryReactorClock()
        self.environment = {"NOTIFY_SOCKET": self.address, "PATH": "/bin", **environment}
        notifier = SystemdNotifier(
            self.reactor, self.environment, lambda: self.ready, lambda: "7 clients"
        )
        notifier.startService()
        self.addCleanup(notifier.stopService)
        return notifier

    def run_reactor(self) -> None:
        for function, arguments, options in self.reactor.whenRunningHooks:
            function(*arguments, **options)
        self.reactor.advance(0)

    def beats(self, seconds: float) -> int:
        """Return the number of watchdog notifications in these seconds."""
        self.manager.heard()
        self.reactor.pump([0.5] * int(2 * seconds))
        return sum("WATCHDOG=1" in message for message in self.manager.heard())


class ReadyTests(NotifierTestCase):
    def test_ready(self) -> None:
        """READY is sent when the reactor runs and PHP is ready, and not before."""
        self.start()
        self.assertEqual([], self.manager.heard())
        self.run_reactor()
        self.assertEqual([], self.manager.heard())
        self.ready.callback(None)
        self.assertEqual([["READY=1", "STATUS=7 clients", "WATCHDOG=1"]], self.manager.heard())

    def test_abstract_socket(self) -> None:
        """An @ in its name stands for a NUL."""
        self.manager = self.listen(f"\0phpgw-{os.getpid()}")
        self.address = f"@phpgw-{os.getpid()}"
        self.start()
        self.run_reactor()
        self.ready.callback(None)
        self.assertEqual("READY=1", self.manager.heard()[0][0])

    def test_not_for_others(self) -> None:
        """Child processes do not get the variables."""
        self.start(WATCHDOG_USEC="1000000", WATCHDOG_PID="1")
        self.assertEqual({"PATH": "/bin"}, self.environment)

    def test_stopped_before(self) -> None:
        """After a stop, READY is not sent."""
        notifier = self.start()
        self.run_reactor()
        notifier.notify_stopping(10)
        self.ready.callback(None)
        self.assertNotIn("READY=1", str(self.manager.heard()))

    def test_nobody_to_tell(self) -> None:
        """Without a service manager, nothing is sent."""
        self.address = ""
        notifier = self.start()
        self.run_reactor()
        notifier.notify_reloading()
        notifier.notify_reloaded()
        notifier.notify_stopping(1)
        notifier.stopService()
        self.assertFalse(self.ready.called)
        self.assertEqual([], self.reactor.getDelayedCalls())

    def test_nobody_listens(self) -> None:
        """One line is logged, and the gateway runs."""
        self.start()
        self.manager.close()
        Path(self.address).unlink()
        with capturedLogs() as events:
            self.run_reactor()
            self.ready.callback(None)
            self.reactor.pump([10.0] * 3)
        [event] = events
        self.assertIn("No such file", str(event["error"]))


class WatchdogTests(NotifierTestCase):
    def begin(self, **environment: str) -> SystemdNotifier:
        notifier = self.start(**environment)
        self.run_reactor()
        self.ready.callback(None)
        return notifier

    def test_twice_in_its_time(self) -> None:
        self.begin(WATCHDOG_USEC="4000000", WATCHDOG_PID=str(os.getpid()))
        self.assertEqual(5, self.beats(10))

    def test_patient(self) -> None:
        """The status is still updated."""
        self.begin(WATCHDOG_USEC="600000000")
        self.assertEqual(2, self.beats(20))

    def test_none(self) -> None:
        for microseconds in ("", "0", "nonsense", "\N{SUPERSCRIPT TWO}"):
            self.ready = Deferred()
            self.begin(WATCHDOG_USEC=microseconds)
            self.assertEqual(2, self.beats(20), microseconds)

    def test_of_another_process(self) -> None:
        self.begin(WATCHDOG_USEC="1000000", WATCHDOG_PID="1")
        self.assertEqual(2, self.beats(20))

    def test_goes_on_while_stopping(self) -> None:
        """The watchdog is fed until the end, without READY."""
        notifier = self.begin(WATCHDOG_USEC="2000000")
        notifier.notify_stopping(10)
        self.assertEqual(10, self.beats(10))
        self.reactor.advance(1)
        self.assertEqual([["STATUS=7 clients", "WATCHDOG=1"]], self.manager.heard())
        notifier.stopService()
        self.assertEqual(0, self.beats(10))

    def test_no_descriptor_left(self) -> None:
        """A notification needs no new descriptor."""
        self.begin(WATCHDOG_USEC="2000000")
        self.patch(socket, "socket", None)
        self.assertEqual(10, self.beats(10))


class OccasionTests(NotifierTestCase):
    def test_reload(self) -> None:
        notifier = self.start()
        notifier.notify_reloading()
        notifier.notify_reloaded()
        [[reloading, since], ready] = self.manager.heard()
        self.assertEqual("RELOADING=1", reloading)
        self.assertRegex(since, r"^MONOTONIC_USEC=\d+$")
        self.assertEqual(["READY=1"], ready)

    def test_stopping(self) -> None:
        """It asks for enough time."""
        self.start().notify_stopping(60)
        [message] = self.manager.heard()
        self.assertEqual(["STOPPING=1", "EXTEND_TIMEOUT_USEC=75000000"], message[:2])
