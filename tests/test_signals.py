"""How the gateway is stopped from outside."""

import os
import signal
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from phpgw.signals import GracefulSignals


class FakeReactor:
    """Runs at once what it is given, and counts how often it was stopped."""

    def __init__(self) -> None:
        self.stops = 0
        self.starting: list[Any] = []

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
        for number in (signal.SIGTERM, signal.SIGINT):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.reactor = FakeReactor()
        GracefulSignals(cast(Any, self.reactor)).startService()

    def test_first_signal(self) -> None:
        """SIGTERM and SIGINT stop the reactor, which drains the gateway."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self.reactor.run()
            os.kill(os.getpid(), number)
        self.assertEqual(2, self.reactor.stops)

    def test_second_signal(self) -> None:
        """Whoever sends another one, of either kind, ends the process at once."""
        self.reactor.run()
        os.kill(os.getpid(), signal.SIGTERM)
        for number in (signal.SIGTERM, signal.SIGINT):
            self.assertEqual(signal.SIG_DFL, signal.getsignal(number))

    def test_before_the_reactor_runs(self) -> None:
        """Its own signal handlers come first, ours replace them."""
        before = signal.getsignal(signal.SIGTERM)
        self.assertNotEqual([], self.reactor.starting)
        self.assertEqual(before, signal.getsignal(signal.SIGTERM))
