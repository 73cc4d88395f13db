"""Subscriptions to groups and users, and when they are in force."""

from collections import deque
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from phpgw.bus.interface import Bus, BusUnavailable
from phpgw.cluster.subscriptions import Subscriptions


class _SlowBus:
    """A bus that confirms subscriptions when it is told to, in order."""

    def __init__(self) -> None:
        self.observers: list[Any] = []
        self.asked: deque[Deferred[None]] = deque()

    def subscribe(self, channel: bytes) -> Deferred[None]:
        asked: Deferred[None] = Deferred()
        self.asked.append(asked)
        return asked

    def confirm(self) -> None:
        self.asked.popleft().callback(None)

    def refuse(self) -> None:
        self.asked.popleft().errback(BusUnavailable("away"))


class InForceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.bus = _SlowBus()
        self.subscriptions = Subscriptions(cast(Bus, self.bus))

    def wait(self) -> Deferred[bool]:
        waiting = self.subscriptions.are_in_force()
        assert isinstance(waiting, Deferred)
        return waiting

    def test_none(self) -> None:
        self.assertIs(self.subscriptions.are_in_force(), True)

    def test_later_ones(self) -> None:
        """Who waits for a name does not wait for those that follow: there may be no end of them."""
        waiting = []
        for number in range(100):
            self.subscriptions.begin(b"g:%d" % number)
            waiting.append(self.wait())
            if number:
                self.bus.confirm()
                self.assertIs(self.successResultOf(waiting[number - 1]), True)
        self.assertNoResult(waiting[-1])
        self.bus.confirm()
        self.assertIs(self.successResultOf(waiting[-1]), True)
        self.assertIs(self.subscriptions.are_in_force(), True)

    def test_several(self) -> None:
        self.subscriptions.begin(b"g:1")
        self.subscriptions.begin(b"g:2")
        waiting = self.wait()
        self.bus.confirm()
        self.assertNoResult(waiting)
        self.bus.confirm()
        self.assertIs(self.successResultOf(waiting), True)

    def test_failed(self) -> None:
        """Others may not find what is here until the next connection, which subscribes to all."""
        self.subscriptions.begin(b"g:1")
        waiting = self.wait()
        self.bus.refuse()
        self.assertIs(self.successResultOf(waiting), False)
        self.assertIs(self.subscriptions.are_in_force(), False)
        self.subscriptions.connected()
        self.assertIs(self.subscriptions.are_in_force(), True)
