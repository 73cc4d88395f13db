"""Tests for :mod:`phpgw.websocket.lifetimes`."""

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.metrics import Metrics
from phpgw.time_slices import TimeSlices
from phpgw.websocket.lifetimes import Lifetime, Lifetimes
from tests.support.fake_clocks import ManualReactor, TickingClock


class FakeConnection:
    """A connection that can be closed for its age.

    :ivar retirements: how often it was asked to go, and with what.
    """

    lifetime: Lifetime | None = None
    is_busy = False
    is_open = True

    def __init__(self) -> None:
        self.message_count = 0
        self.retirements: list[tuple[int, str]] = []

    def close_if_idle(self, code: int, reason: str, cause: str) -> bool:
        self.retirements.append((code, reason))
        if self.is_busy or not self.is_open:
            return False
        self.is_open = False
        return True


class LifetimeTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock: Any = Clock()
        self.metrics = Metrics()
        self.connections = [FakeConnection()]

    def start(self, **times: Any) -> Lifetimes:
        lifetimes = Lifetimes(
            self.clock,
            lambda: self.connections,
            TimeSlices(self.clock),
            self.metrics,
            **{"idle_timeout": 0, "max_age": 0, **times},
        )
        lifetimes.startService()
        return lifetimes

    def wait(self, seconds: float) -> None:
        """Advance the clock in small steps."""
        self.clock.pump([0.05] * round(seconds / 0.05))

    def open(self) -> int:
        """Return the number of open connections."""
        return sum(connection.is_open for connection in self.connections)


class CrowdTests(LifetimeTestCase):
    def test_in_slices(self) -> None:
        """A check runs in time slices, and only one check runs at a time."""
        self.connections = [FakeConnection() for _ in range(5000)]
        turns = self.clock = ManualReactor()
        lifetimes = Lifetimes(
            self.clock,
            lambda: self.connections,
            TimeSlices(turns, 20, TickingClock()),
            self.metrics,
            idle_timeout=0,
            max_age=10,
        )
        lifetimes.startService()
        turns.advance(1)
        turns.turn()
        seen = sum(connection.lifetime is not None for connection in self.connections)
        self.assertTrue(0 < seen < 1000)
        turns.advance(1)
        self.assertGreater(turns.run(), 5)
        self.assertTrue(all(connection.lifetime for connection in self.connections))
        self.assertFalse(turns.is_busy)


class IdleTests(LifetimeTestCase):
    def test_silence(self) -> None:
        self.start(idle_timeout=10)
        self.wait(9.9)
        self.assertEqual(1, self.open())
        self.wait(1.5)
        [connection] = self.connections
        self.assertEqual(
            [(1001, "nothing was said for too long (--idle-timeout)")], connection.retirements[:1]
        )
        self.assertEqual(1, self.metrics.idle_closed)

    def test_counted_once(self) -> None:
        """Though it takes a while to close."""
        self.start(idle_timeout=10)
        self.wait(30)
        self.assertEqual(1, self.metrics.idle_closed)

    def test_message(self) -> None:
        """From either side."""
        self.start(idle_timeout=10)
        for _ in range(5):
            self.wait(8)
            self.connections[0].message_count += 1
        self.wait(8)
        self.assertEqual(1, self.open())
        self.wait(3.5)
        self.assertEqual(0, self.open())

    def test_php_takes_its_time(self) -> None:
        self.start(idle_timeout=10)
        [connection] = self.connections
        connection.is_busy = True
        self.wait(30)
        self.assertEqual([], connection.retirements)
        connection.is_busy = False
        self.wait(9)
        self.assertEqual(1, self.open())
        self.wait(3)
        self.assertEqual(0, self.open())


class AgeTests(LifetimeTestCase):
    def test_a_crowd_does_not_go_together(self) -> None:
        """Within a tenth of the time, and whatever it says."""
        self.connections = [FakeConnection() for _ in range(1000)]
        self.start(max_age=100)
        self.wait(89.9)
        self.assertEqual(1000, self.open())
        steps = []
        for _ in range(12):
            before = self.open()
            self.wait(1)
            steps.append(before - self.open())
            for connection in self.connections:
                connection.message_count += 1
        self.assertEqual((0, 1000), (self.open(), self.metrics.old_closed))
        self.assertLess(max(steps), 200)
        code, reason = self.connections[0].retirements[0]
        self.assertEqual(
            (1001, "it is time to connect anew (--max-connection-age)"), (code, reason)
        )

    def test_not_in_the_middle_of_something(self) -> None:
        self.start(max_age=10)
        [connection] = self.connections
        connection.is_busy = True
        self.wait(12)
        self.assertGreater(len(connection.retirements), 1)
        self.assertEqual((1, 0), (self.open(), self.metrics.old_closed))
        connection.is_busy = False
        self.wait(1)
        self.assertEqual((0, 1), (self.open(), self.metrics.old_closed))

    def test_whoever_came_later_goes_later(self) -> None:
        self.start(max_age=10)
        self.wait(8)
        self.connections.append(FakeConnection())
        self.wait(3)
        self.assertEqual([False, True], [each.is_open for each in self.connections])

    def test_idle_and_old(self) -> None:
        """Each for itself."""
        self.connections.append(FakeConnection())
        self.start(max_age=100, idle_timeout=10)
        for _ in range(11):
            self.connections[0].message_count += 1
            self.wait(5)
        self.assertEqual([True, False], [each.is_open for each in self.connections])
        self.assertEqual((1, 0), (self.metrics.idle_closed, self.metrics.old_closed))


class ClockTests(LifetimeTestCase):
    def test_clock_that_is_set(self) -> None:
        """Forward by an hour: connections are not closed."""
        self.start(max_age=100, idle_timeout=100)
        self.wait(1)
        self.clock.advance(3600)
        self.wait(1)
        self.assertEqual(1, self.open())

    def test_stop(self) -> None:
        lifetimes = self.start(idle_timeout=10)
        lifetimes.stopService()
        self.assertEqual([], self.clock.getDelayedCalls())
        self.wait(60)
        self.assertEqual(1, self.open())
