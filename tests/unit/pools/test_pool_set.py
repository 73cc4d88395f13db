"""Tests for :mod:`phpgw.pools.pool_set` and :mod:`phpgw.pools.link`."""

import json
import socket
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools import pool_set
from phpgw.pools.figures import PoolFigures
from phpgw.pools.link import PoolsLink
from phpgw.pools.pool_set import PoolSet
from phpgw.pools.service import PoolService
from phpgw.settings.pool_config import PoolConfig
from phpgw.settings.pool_text import parse_pool


class FakePool(PoolService):
    """A pool that notes what it is told."""

    def __init__(self, reactor: Any, config: PoolConfig) -> None:
        self.name = config.name
        self.notes: list[Any] = []
        self.stopped: Deferred[None] = Deferred()

    @property
    def figures(self) -> PoolFigures:
        return PoolFigures(opened=len(self.notes))

    def start(self, listening: socket.socket) -> None:
        self.notes.append(listening)

    def reload(self) -> None:
        self.notes.append("reload")

    def stop_within(self, seconds: float) -> Deferred[None]:
        self.notes.append(seconds)
        return self.stopped


class PoolSetTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.made: list[FakePool] = []

        def make(reactor: Any, config: PoolConfig) -> FakePool:
            self.made.append(FakePool(reactor, config))
            return self.made[-1]

        self.patch(pool_set, "make_pool", make)
        self.clock: Any = Clock()
        configs = [parse_pool(f"{name}=tcp://h:1") for name in "ab"]
        self.pools = PoolSet(self.clock, configs)

    def notes(self) -> list[list[Any]]:
        return [pool.notes for pool in self.made]


class PoolSetTests(PoolSetTestCase):
    def test_all(self) -> None:
        """Each pool gets its own socket, and all the rest is for all."""
        sockets: Any = {"a": "socket a", "b": "socket b"}
        self.pools.start(sockets)
        self.pools.reload()
        stopped = self.pools.stop_within(5)
        self.assertEqual([["socket a", "reload", 5], ["socket b", "reload", 5]], self.notes())
        self.made[0].stopped.callback(None)
        self.assertNoResult(stopped)
        self.made[1].stopped.callback(None)
        self.successResultOf(stopped)
        self.assertEqual([3, 3], [each["opened"] for each in self.pools.figures().values()])


class LinkTests(PoolSetTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.clock.stop = lambda: self.told.append("stops")
        self.told: list[Any] = []
        self.link = PoolsLink(self.clock)
        self.patch(self.link, "tell", lambda kind, **fields: self.told.append(kind))
        self.link.makeConnection(StringTransport())
        self.link.begin(self.pools)

    def test_figures(self) -> None:
        """The gateway hears each second that the process lives."""
        self.clock.pump([0.5] * 4)
        self.assertEqual(["ready", *["figures"] * 3], self.told)
        json.dumps(self.pools.figures())

    def test_reload(self) -> None:
        self.link.obey({"type": "reload"})
        self.link.obey({"type": "of the future"})
        self.assertEqual([["reload"], ["reload"]], self.notes())

    def test_stop(self) -> None:
        """The last figures are told when all is closed, and then the process ends."""
        self.told.clear()
        self.link.obey({"type": "stop", "seconds": 5})
        self.link.obey({"type": "stop", "seconds": 5})
        self.assertEqual([[5], [5]], self.notes())
        for pool in self.made:
            pool.stopped.callback(None)
        self.clock.advance(0.1)
        self.assertEqual(["figures", "stops"], self.told)
        self.assertEqual([], self.clock.getDelayedCalls())
