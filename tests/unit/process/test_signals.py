"""Tests for :mod:`phpgw.process.signals`."""

import os
import signal
from typing import Any, cast
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from phpgw.process.signals import GracefulSignals


class FakeReactor:
    """A reactor that runs calls at once, and counts its stops."""

    def __init__(self) -> None:
        self.stops = 0
        self.starting: list[Any] = []
        self.stopping: list[Any] = []

    def addSystemEventTrigger(self, phase: str, event: str, function: Any) -> None:  # noqa: N802
        assert (phase, event) == ("during", "shutdown")
        self.stopping.append(function)

    def callWhenRunning(self, function: Any) -> None:  # noqa: N802
        self.starting.append(function)

    def run(self) -> None:
        for function in self.starting:
            function()

    def callFromThread(self, function: Any) -> None:  # noqa: N802
        function()

    def stop(self) -> None:
        self.stops += 1


class SignalTests(SynchronousTestCase):
    def setUp(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.reactor = FakeReactor()
        self.reloads: list[None] = []
        self.terminal = False
        self.patch(os, "isatty", lambda descriptor: self.terminal)
        self.reopened: list[None] = []
        GracefulSignals(
            cast(Any, self.reactor),
            lambda: self.reloads.append(None),
            lambda: self.reopened.append(None),
        ).startService()

    def test_first_signal(self) -> None:
        """SIGTERM and SIGINT stop the reactor, which drains the gateway."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self.reactor.run()
            os.kill(os.getpid(), number)
        self.assertEqual(2, self.reactor.stops)

    def test_second_signal(self) -> None:
        """Whoever sends another one, of either kind, ends the process at once.

        Of a container's first process the kernel keeps it; it has to exit by itself.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            self.reactor.run()
            os.kill(os.getpid(), signal.SIGTERM)
            with mock.patch("os._exit") as leave, mock.patch("os.kill") as kill:
                cast(Any, signal.getsignal(number))(number, None)
            kill.assert_called_once_with(os.getpid(), number)
            leave.assert_called_once_with(128 + number)
            self.assertEqual(signal.SIG_DFL, signal.getsignal(number))

    def test_log_was_moved(self) -> None:
        """SIGUSR1 reopens the log each time. It is ignored during a stop."""
        self.reactor.run()
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGUSR1)
        self.assertEqual(2, len(self.reopened))
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGUSR1)
        self.assertEqual((2, 1), (len(self.reopened), self.reactor.stops))

    def test_thread_that_goes_on(self) -> None:
        """The reactor has stopped, but a thread still waits for DNS."""
        [exit_soon] = self.reactor.stopping
        with mock.patch("threading.Timer") as timer:
            exit_soon()
        timer.assert_called_once_with(1, os._exit, (0,))
        self.assertTrue(timer().daemon)
        timer().start.assert_called_once_with()

    def test_before_the_reactor_runs(self) -> None:
        """The reactor installs its signal handlers first; ours replace them."""
        before = signal.getsignal(signal.SIGTERM)
        self.assertNotEqual([], self.reactor.starting)
        self.assertEqual(before, signal.getsignal(signal.SIGTERM))

    def test_hang_up(self) -> None:
        """SIGHUP reloads each time."""
        self.reactor.run()
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGHUP)
        self.assertEqual((2, 0), (len(self.reloads), self.reactor.stops))

    def test_hang_up_while_stopping(self) -> None:
        """It is ignored during a stop."""
        self.reactor.run()
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGHUP)
        self.assertEqual((0, 1), (len(self.reloads), self.reactor.stops))

    def test_hang_up_from_another_terminal(self) -> None:
        self.terminal = True
        self.reactor.run()
        os.kill(os.getpid(), signal.SIGHUP)
        self.assertEqual((1, 0), (len(self.reloads), self.reactor.stops))

    def test_closed_terminal(self) -> None:
        """When the terminal is closed, the gateway stops."""
        self.terminal = True
        self.reactor.run()
        self.terminal = False
        os.kill(os.getpid(), signal.SIGHUP)
        self.assertEqual((0, 1), (len(self.reloads), self.reactor.stops))
