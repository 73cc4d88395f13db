"""Tests for :mod:`phpgw.backend.http.pool`."""

from typing import Any, cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.http.connection import HttpConnection
from phpgw.backend.http.pool import HttpPool


class FakeConnection:
    is_closed = False

    def close(self) -> None:
        self.is_closed = True


class PoolTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.pool = HttpPool(self.clock, 2, 60)

    def released(self) -> FakeConnection:
        connection: Any = FakeConnection()
        self.pool.released(cast(HttpConnection, connection))
        return cast(FakeConnection, connection)

    def test_last_in_first_out(self) -> None:
        """So those that are not needed any more become too old."""
        first, second = self.released(), self.released()
        self.assertEqual(2, len(self.pool))
        self.assertIs(second, self.pool.take())
        self.assertIs(first, self.pool.take())
        self.assertIsNone(self.pool.take())

    def test_size(self) -> None:
        kept = [self.released(), self.released()]
        self.assertTrue(self.released().is_closed)
        self.assertEqual([False, False], [each.is_closed for each in kept])

    def test_none(self) -> None:
        self.pool = HttpPool(self.clock, 0, 60)
        self.assertTrue(self.released().is_closed)
        self.assertIsNone(self.pool.take())

    def test_idle_too_long(self) -> None:
        connection = self.released()
        self.clock.advance(59)
        self.assertFalse(connection.is_closed)
        self.clock.advance(1)
        self.assertTrue(connection.is_closed)
        self.assertIsNone(self.pool.take())

    def test_lost(self) -> None:
        connection: Any = self.released()
        self.pool.lost(connection)
        self.assertIsNone(self.pool.take())
        self.clock.advance(60)
        self.assertFalse(connection.is_closed)

    def test_close(self) -> None:
        idle: Any = self.released()
        busy: Any = FakeConnection()
        closed = self.pool.close()
        self.assertTrue(idle.is_closed)
        self.assertNoResult(closed)
        self.pool.lost(idle)
        self.successResultOf(closed)
        self.pool.released(busy)
        self.assertTrue(busy.is_closed)
        self.successResultOf(self.pool.close())
        self.assertEqual([], self.clock.getDelayedCalls())
