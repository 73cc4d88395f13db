"""Tests for :mod:`phpgw.pools.pool`."""

from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.errors import PoolFull, PoolStopping, ServerUnavailable
from phpgw.pools.pool import Pool, PoolLimits
from tests.support.fake_server_connections import FakeConnector, FakeServerConnection


class PoolTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.connector = FakeConnector(self.clock)
        self.pool = self.make_pool()

    def make_pool(self, size: int = 2) -> Pool[str, FakeServerConnection]:
        limits = PoolLimits(size=size, idle=60, wait=3, age=100)
        return Pool(self.clock, "db", limits, self.connector)

    def take(self, key: str = "") -> FakeServerConnection:
        return self.successResultOf(self.pool.take(key))

    def assert_figures(self, **expected: object) -> None:
        figures = self.pool.figures.as_json()
        self.assertEqual(expected, {name: figures[name] for name in expected})


class TakeTests(PoolTestCase):
    def test_used_again(self) -> None:
        """What was given back last is lent next, and opened once."""
        first, second = self.take(), self.take()
        self.pool.give_back(second)
        self.pool.give_back(first)
        self.assertIs(first, self.take())
        self.assertIs(second, self.take())
        self.assert_figures(in_use=2, idle=0, opened=2, cleaned=2)

    def test_apart_by_key(self) -> None:
        """A connection is never lent for another key; it goes if its place is needed."""
        first, other = self.take("a"), self.take("b")
        self.pool.give_back(other)
        second = self.take("a")
        self.assertIsNot(other, second)
        self.assertEqual(("a", 1), (second.key, other.closed))
        self.assertEqual(0, first.closed)
        self.assertEqual(1, self.pool.figures.closed["replaced"])

    def test_first_come_first_served(self) -> None:
        """PHP waits in order, whatever keys it asks for."""
        first, second = self.take("a"), self.take("a")
        waiting = [self.pool.take(key) for key in "bab"]
        self.assert_figures(waiting=3)
        self.pool.give_back(first)
        self.assertEqual("b", self.successResultOf(waiting[0]).key)
        self.pool.give_back(second)
        self.assertIs(second, self.successResultOf(waiting[1]))
        self.assertNoResult(waiting[2])

    def test_nobody_overtakes(self) -> None:
        """Who comes later waits behind those that wait, even if there is one of its key."""
        self.connector.opens_at_once = False
        pool = self.make_pool(size=1)
        first = pool.take("a")
        waiting, later = pool.take("b"), pool.take("a")
        self.connector.open_next()
        pool.give_back(self.successResultOf(first))
        self.connector.open_next()
        self.assertEqual("b", self.successResultOf(waiting).key)
        self.assertNoResult(later)

    def test_full(self) -> None:
        """Who has waited for too long gets an error, and leaves the queue."""
        first, _ = self.take(), self.take()
        waiting = self.pool.take("")
        self.clock.advance(2.9)
        self.assertNoResult(waiting)
        self.clock.advance(0.2)
        self.assertIn("2 connections", str(self.failureResultOf(waiting, PoolFull).value))
        self.pool.give_back(first)
        self.assert_figures(in_use=1, idle=1, waiting=0, refused=self.refused(full=1))

    def test_full_is_logged(self) -> None:
        """A pool that is full says so, with how often that was, and not for each."""
        self.take(), self.take()
        with capturedLogs() as events:
            for _ in range(4):
                for each in [self.pool.take("") for _ in range(5)]:
                    each.addErrback(lambda _: None)
                self.clock.advance(3)
                self.clock.advance(3)
        self.assertEqual([1, 10], [event["count"] for event in events])

    def refused(self, **counts: int) -> dict[str, int]:
        return {"full": 0, "unavailable": 0, "stopping": 0} | counts

    def test_wait_is_for_all(self) -> None:
        """The time to wait for a place and to open a connection is one."""
        first, _ = self.take("a"), self.take("a")
        self.connector.opens_at_once = False
        waiting = self.pool.take("b")
        self.clock.advance(2)
        self.pool.give_back(first)
        self.clock.advance(1)
        self.failureResultOf(waiting, ServerUnavailable)
        self.assertEqual(1, self.connector.cancelled)
        self.assert_figures(in_use=1, opening=0, idle=0)

    def test_forgotten(self) -> None:
        """PHP that has gone leaves the queue, and gets nothing."""
        first, second = self.take(), self.take()
        waiting, other = self.pool.take(""), self.pool.take("")
        waiting.addErrback(lambda _: None).cancel()
        self.pool.give_back(first)
        self.assertIs(first, self.successResultOf(other))
        self.pool.give_back(second)
        self.assert_figures(in_use=1, idle=1, waiting=0)

    def test_forgotten_while_opening(self) -> None:
        """What is opened for PHP that has gone is for the next one."""
        self.connector.opens_at_once = False
        gone = self.pool.take("a")
        gone.addErrback(lambda _: None).cancel()
        self.connector.open_next()
        self.assert_figures(in_use=0, idle=1, opening=0)
        self.assertIs(self.connector.opened[0], self.take("a"))
        self.assertEqual(0, self.connector.cancelled)

    def test_forgotten_and_never_opened(self) -> None:
        """Its place becomes free once PHP would have waited for long enough."""
        self.connector.opens_at_once = False
        self.pool.take("a").addErrback(lambda _: None).cancel()
        self.clock.advance(3)
        self.assertEqual(1, self.connector.cancelled)
        self.assert_figures(opening=0)

    def test_times(self) -> None:
        first, _ = self.take(), self.take()
        waiting = self.pool.take("")
        self.clock.advance(2)
        self.pool.give_back(first)
        self.successResultOf(waiting)
        figures = self.pool.figures
        self.assertEqual((2, 2), (figures.waits.total, figures.uses.total))
        self.assertEqual((3, 1), (sum(figures.waits.counts), sum(figures.uses.counts)))


class UnavailableTests(PoolTestCase):
    def test_fails_at_once(self) -> None:
        """Each of PHP gets the reason, as the connector has put it."""
        self.connector.fails_with = ServerUnavailable("connection refused")
        for _ in range(5):
            error = self.failureResultOf(self.pool.take(""), ServerUnavailable).value
            self.assertEqual("connection refused", str(error))
        self.assert_figures(in_use=0, opening=0, waiting=0)
        self.assertEqual(5, self.pool.figures.refused["unavailable"])

    def test_logged_once(self) -> None:
        """The log has each reason once, and the end of it."""
        self.connector.fails_with = ServerUnavailable("refused\x1b")
        with capturedLogs() as events:
            for _ in range(5):
                self.failureResultOf(self.pool.take(""), ServerUnavailable)
            self.connector.fails_with = None
            self.take(), self.take()
        self.assertEqual(
            [
                "Pool db: no connection could be opened: refused\\x1b",
                "Pool db reaches its server again",
            ],
            [formatEvent(event) for event in events],
        )

    def test_other_errors(self) -> None:
        """An error of the kind's own reaches PHP's side as it is."""
        self.connector.fails_with = KeyError("mistake")
        self.failureResultOf(self.pool.take(""), KeyError)
        self.assert_figures(opening=0)

    def test_next_is_served(self) -> None:
        """The place of a connection that could not be opened is for who waits."""
        self.connector.opens_at_once = False
        pool = self.make_pool(size=1)
        first, second = pool.take(""), pool.take("")
        self.connector.fail_next(ServerUnavailable("refused"))
        self.failureResultOf(first, ServerUnavailable)
        self.connector.open_next()
        self.successResultOf(second)

    def test_many_waiters(self) -> None:
        """When a server goes down, all who wait get their error, however many they are."""
        first, _ = self.take(), self.take()
        waiting = [self.pool.take("") for _ in range(5000)]
        self.connector.fails_with = ServerUnavailable("refused")
        self.pool.discard(first, "lost")
        for each in waiting:
            self.failureResultOf(each, ServerUnavailable)

    def test_bounded(self) -> None:
        """No more than ten thousand wait."""
        self.take(), self.take()
        waiting = [self.pool.take("") for _ in range(10_000)]
        self.failureResultOf(self.pool.take(""), PoolFull)
        self.clock.advance(3)
        for each in waiting:
            self.failureResultOf(each, PoolFull)


class CloseTests(PoolTestCase):
    def test_discarded(self) -> None:
        """What is not clean is closed, and its place is free."""
        first, second = self.take(), self.take()
        waiting = self.pool.take("")
        self.pool.discard(first)
        self.assertEqual(1, first.closed)
        self.assertIsNot(first, self.successResultOf(waiting))
        self.pool.discard(first)
        self.assertEqual(1, self.pool.figures.closed["unclean"])
        self.assertEqual(0, second.closed)

    def test_given_back_twice(self) -> None:
        """Nobody gets a connection that was given back, or discarded, twice."""
        first = self.take()
        self.pool.give_back(first)
        self.pool.give_back(first)
        self.assertGreater(first.closed, 0)
        self.assertIsNot(first, self.take())
        second = self.take()
        self.pool.discard(second)
        self.pool.give_back(second)
        self.assertIsNot(second, self.take())

    def test_idle(self) -> None:
        first = self.take()
        self.pool.give_back(first)
        self.clock.advance(59)
        self.assertEqual(0, first.closed)
        self.clock.advance(1)
        self.assertEqual(1, first.closed)
        self.assert_figures(idle=0)
        self.assertEqual(1, self.pool.figures.closed["idle"])

    def test_age(self) -> None:
        """What is too old is lent no more, and goes when it comes back."""
        first = self.take()
        self.clock.advance(100)
        self.pool.give_back(first)
        self.assertEqual((1, 1), (first.closed, self.pool.figures.closed["age"]))
        second = self.take()
        self.clock.advance(50)
        self.pool.give_back(second)
        self.clock.advance(50)
        self.assertIsNot(second, self.take())
        self.assertEqual(2, self.pool.figures.closed["age"])

    def test_dead(self) -> None:
        """What the server has closed, or has spoken on meanwhile, is not lent."""
        first = self.take()
        self.pool.give_back(first)
        first.dies = True
        self.assertIsNot(first, self.take())
        self.assertEqual((1, 1), (first.closed, self.pool.figures.closed["lost"]))

    def test_dead_when_given_back(self) -> None:
        first, _ = self.take(), self.take()
        waiting = self.pool.take("")
        first.dies = True
        self.pool.give_back(first)
        self.assertIsNot(first, self.successResultOf(waiting))
        self.assertEqual(1, first.closed)

    def test_lost_while_idle(self) -> None:
        first = self.take()
        self.pool.give_back(first)
        self.pool.discard(first, "lost")
        self.assert_figures(idle=0)
        self.assertEqual(1, self.pool.figures.closed["lost"])


class ReloadTests(PoolTestCase):
    def test_reload(self) -> None:
        """Nothing is lent again that was opened before."""
        used, idle = self.take(), self.take()
        self.pool.give_back(idle)
        self.clock.advance(1)
        self.pool.reload()
        self.assertEqual((0, 1), (used.closed, idle.closed))
        self.pool.give_back(used)
        self.assertEqual((1, 2), (used.closed, self.pool.figures.closed["reload"]))
        new = self.take()
        self.pool.give_back(new)
        self.assertIs(new, self.take())

    def test_reload_while_opening(self) -> None:
        """Who logs in just then may do so with the old password: it is used once at most."""
        self.connector.opens_at_once = False
        waiting, ahead = self.pool.take(""), self.pool.open_ahead("")
        self.clock.advance(1)
        self.pool.reload()
        self.clock.advance(1)
        self.connector.open_next()
        self.connector.open_next()
        self.successResultOf(ahead)
        self.pool.give_back(self.successResultOf(waiting))
        self.connector.opens_at_once = True
        self.assertNotIn(self.take(), self.connector.opened[:2])
        self.assertEqual(2, self.pool.figures.closed["reload"])


class AheadTests(PoolTestCase):
    def test_opened_ahead(self) -> None:
        self.successResultOf(self.pool.open_ahead(""))
        self.assert_figures(idle=1, opened=1)
        self.assertIs(self.connector.opened[0], self.take())

    def test_for_who_waits(self) -> None:
        """A connection that comes up is for who waits."""
        self.connector.opens_at_once = False
        pool = self.make_pool(size=1)
        ahead = pool.open_ahead("")
        waiting = pool.take("")
        self.assertFalse(pool.has_room)
        self.connector.open_next()
        self.successResultOf(ahead)
        self.successResultOf(waiting)

    def test_failure(self) -> None:
        self.connector.fails_with = ServerUnavailable("refused")
        self.failureResultOf(self.pool.open_ahead(""), ServerUnavailable)
        self.assert_figures(opening=0, refused={"full": 0, "unavailable": 0, "stopping": 0})

    def test_too_slow(self) -> None:
        self.connector.opens_at_once = False
        ahead = self.pool.open_ahead("").addErrback(lambda failure: "failed")
        self.clock.advance(3)
        self.assertEqual("failed", self.successResultOf(ahead))
        self.assert_figures(opening=0)


class StopTests(PoolTestCase):
    def test_stop(self) -> None:
        """Who waits gets an error; what is idle closes; what is in use may end its work."""
        pool = self.make_pool(size=3)
        used, idle = (self.successResultOf(pool.take("")) for _ in range(2))
        pool.give_back(idle)
        self.connector.opens_at_once = False
        opening = pool.take("b")
        stopped = pool.stop()
        self.failureResultOf(opening, PoolStopping)
        self.failureResultOf(pool.take(""), PoolStopping)
        self.assertEqual((0, 1, 1), (used.closed, idle.closed, self.connector.cancelled))
        self.assertNoResult(stopped)
        pool.give_back(used)
        self.assertEqual(1, used.closed)
        self.successResultOf(stopped)
        self.successResultOf(pool.stop())
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_stops_at_once(self) -> None:
        self.successResultOf(self.pool.stop())


class InvariantTests(PoolTestCase):
    """Whatever happens in whatever order, no connection is lent to two, or lost count of."""

    def test_random(self) -> None:
        for seed in range(30):
            self.setUp()
            self.play(Random(seed))

    def play(self, random: Random) -> None:
        connector = self.connector
        pool = self.make_pool(size=3)
        lent: set[FakeServerConnection] = set()
        pending: list[Deferred[Any]] = []

        def took(connection: FakeServerConnection, key: str) -> None:
            self.assertEqual((key, 0), (connection.key, connection.closed))
            self.assertNotIn(connection, lent)
            lent.add(connection)

        for _ in range(400):
            connector.opens_at_once = random.random() < 0.5
            connector.fails_with = ServerUnavailable("no") if random.random() < 0.1 else None
            match random.randrange(9):
                case 0 | 1 | 2:
                    key = random.choice("abc")
                    taken = pool.take(key)
                    taken.addCallbacks(took, lambda _: None, callbackArgs=(key,))
                    pending.append(taken)
                case 3 | 4 if lent:
                    pool.give_back(lent.pop())
                case 5 if lent:
                    pool.discard(lent.pop())
                case 6 if connector.waiting:
                    connector.open_next()
                case 7 if pending:
                    pending.pop(random.randrange(len(pending))).cancel()
                case 8:
                    self.clock.advance(random.choice((0.1, 1, 30)))
                    for each in connector.opened:
                        each.dies = each.dies or random.random() < 0.05
                    if random.random() < 0.1:
                        pool.reload()
            figures = pool.figures
            self.assertEqual(len(lent), figures.in_use)
            self.assertLessEqual(figures.in_use + figures.idle + figures.opening, 3)
            self.assertEqual(len(connector.opened), figures.opened)
            self.assertEqual(figures.opened - figures.closed.total(), figures.in_use + figures.idle)
            self.assertEqual(
                figures.closed.total(), sum(each.closed > 0 for each in connector.opened)
            )
            if figures.waiting:
                self.assertEqual(3, figures.in_use + figures.idle + figures.opening)
        stopped = pool.stop()
        for connection in [*lent]:
            pool.give_back(connection)
        self.successResultOf(stopped)
        self.assertTrue(all(each.closed for each in connector.opened))
        self.assertEqual([], self.clock.getDelayedCalls())
