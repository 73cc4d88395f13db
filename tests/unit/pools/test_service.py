"""Tests for :mod:`phpgw.pools.service`."""

from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.errors import PoolStopping
from phpgw.pools.front import Front, PhpConnection
from phpgw.pools.pool import Pool, PoolLimits
from phpgw.pools.service import LendingPool
from tests.support.fake_server_connections import FakeConnector


class Php(PhpConnection):
    def stop(self) -> None:
        pass


class LendingPoolTests(SynchronousTestCase):
    def setUp(self) -> None:
        clock = Clock()
        limits = PoolLimits(size=1, idle=9, wait=9, age=9)
        self.pool = Pool(clock, "db", limits, FakeConnector(clock))
        self.front = Front(clock, Php)
        self.service = LendingPool(self.pool, self.front)

    def test_stop(self) -> None:
        """Who waits gets an error at once; who has a connection may finish."""
        php: Any = self.front.buildProtocol(None)
        php.makeConnection(StringTransport())
        connection = self.successResultOf(self.pool.take(""))
        waiting = self.pool.take("")
        stopped = self.service.stop_within(5)
        self.failureResultOf(waiting, PoolStopping)
        php.connectionLost()
        self.assertNoResult(stopped)
        self.pool.give_back(connection)
        self.successResultOf(stopped)

    def test_reload(self) -> None:
        connection = self.successResultOf(self.pool.take(""))
        self.pool.give_back(connection)
        self.service.reload()
        self.assertEqual((0, 1), (self.service.figures.idle, connection.closed))
