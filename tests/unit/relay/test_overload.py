"""Tests for :mod:`phpgw.relay.overload`."""

from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.errors import BackendError
from phpgw.metrics import Metrics
from phpgw.relay.fifo import DeferredEvent, Fifo, QueuedEvent
from phpgw.relay.overload import Overloaded, WaitingLimits
from phpgw.relay.queue import EventQueue


class WaitingLimitsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock: Any = Clock()
        self.metrics = Metrics()
        self.begun: list[str] = []
        self.failed: list[tuple[str, str]] = []
        self.crowded = 0
        self.use()

    def use(self, count: int = 4, seconds: float = 60, turns: int = 1) -> None:
        self.queue = EventQueue(turns, self.metrics)
        self.limits = WaitingLimits(
            self.clock, self.queue, count, seconds, self.metrics, self.note_crowd
        )
        self.queue.limits = self.limits

    def note_crowd(self) -> None:
        self.crowded += 1

    def begin(self, name: str, event: QueuedEvent, error: BackendError | None) -> Deferred[None]:
        if error is None:
            self.begun.append(name)
        else:
            self.failed.append((name, str(error)))
        return Deferred()

    def turn(
        self, name: str = "x", fifo: Fifo | None = None, network: str | None = None
    ) -> QueuedEvent:
        begin = partial(self.begin, name)
        fifo = self.queue.messages if fifo is None else fifo
        return DeferredEvent(begin, fifo, self.clock.seconds(), network=network)

    def wait(self, *names: str, fifo: Fifo | None = None, network: str | None = None) -> None:
        for name in names:
            self.queue.enqueue(self.turn(name, fifo, network))
            self.limits.watch()

    def names_of_failed(self) -> list[str]:
        return [name for name, _ in self.failed]

    def test_count(self) -> None:
        self.wait("under way", *"abc")
        self.assertIsNone(self.limits.check(self.turn()))
        self.wait("d")
        error = self.limits.check(self.turn())
        self.assertIsInstance(error, Overloaded)
        self.assertEqual(str(error), "4 events wait for PHP already (--max-waiting)")
        self.assertEqual(self.metrics.events_refused_by_overload, 1)

    def test_handshakes_take_half(self) -> None:
        self.wait("under way")
        self.wait("a", "b", fifo=self.queue.handshakes)
        self.assertIn("handshakes", str(self.limits.check(self.turn("c", self.queue.handshakes))))
        self.assertIsNone(self.limits.check(self.turn()))

    def test_handshakes_of_one_network(self) -> None:
        self.use(count=2000)
        self.wait("under way")
        self.wait(*"abcdefghijklmnopqrst", fifo=self.queue.handshakes, network="here")
        for network, is_refused in (("here", True), ("there", False), (None, False)):
            turn = self.turn("x", self.queue.handshakes, network)
            self.assertEqual(self.limits.check(turn) is not None, is_refused)
        self.assertIsNone(self.limits.check(self.turn(network="here")))

    def test_one_network_takes_half(self) -> None:
        self.wait("under way", network="here")
        self.wait("a", network="here")
        self.wait("b", fifo=self.queue.handshakes, network="here")
        self.assertIn("one address", str(self.limits.check(self.turn(network="here"))))
        self.assertIsNone(self.limits.check(self.turn(network="there")))
        self.assertIsNone(self.limits.check(self.turn(network=None)))

    def test_time(self) -> None:
        """It is over when it is over, whether a turn comes or not."""
        self.wait("under way", "a")
        self.clock.pump([1] * 30)
        self.wait("b")
        self.wait("c", fifo=self.queue.handshakes)
        self.clock.pump([1] * 30)
        self.assertEqual(self.failed, [])
        self.clock.advance(1)
        self.assertEqual(
            self.failed, [("a", "PHP had no time for it within 60 s (--waiting-timeout)")]
        )
        self.clock.pump([1] * 30)
        self.assertEqual(self.names_of_failed(), ["a", "b", "c"])
        self.assertEqual(self.metrics.events_refused_by_overload, 3)
        self.assertEqual(self.queue.waiting, 0)
        self.clock.advance(1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_short_time(self) -> None:
        self.use(seconds=0.5)
        self.wait("under way", "a")
        self.clock.pump([0.05] * 10)
        self.assertEqual(self.failed, [])
        self.clock.advance(0.05)
        self.assertEqual(self.names_of_failed(), ["a"])

    def test_a_crowd(self) -> None:
        """It does not fail in a single turn of the reactor."""
        self.use(count=1000)
        self.wait("under way", *map(str, range(250)))
        counts = []
        cancel_overdue = self.queue.cancel_overdue

        def counted(since: float, max_count: int) -> list[QueuedEvent]:
            overdue = cancel_overdue(since, max_count)
            counts.append(len(overdue))
            return overdue

        self.queue.cancel_overdue = counted  # type: ignore[method-assign]
        self.clock.pump([1] * 61)
        self.assertEqual(counts, [100, 100, 50])
        self.assertEqual(self.names_of_failed(), list(map(str, range(250))))

    def test_for_ever(self) -> None:
        self.use(seconds=0)
        self.wait("under way", "a")
        self.clock.pump([1000] * 10)
        self.assertEqual(self.failed, [])

    def test_disconnects_wait_for_ever(self) -> None:
        self.wait("under way", "a")
        self.wait("d", fifo=self.queue.disconnects)
        self.clock.pump([1] * 100)
        self.assertEqual(self.names_of_failed(), ["a"])
        self.assertEqual(len(self.queue.disconnects), 1)

    def test_streams_that_wait_for_their_share(self) -> None:
        """They could run; once all turns are taken they wait like everybody else."""
        self.use(turns=2)
        self.wait("s0", "s1", fifo=self.queue.streams)
        self.clock.pump([1] * 100)
        self.assertEqual((self.begun, self.failed), (["s0"], []))
        self.wait("a")
        self.clock.pump([1] * 2)
        self.assertEqual(self.names_of_failed(), ["s1"])

    def test_held(self) -> None:
        """Waiting for the end of a hold is not waiting for PHP."""
        self.queue.set_concurrency(0)
        self.wait("a", "b")
        self.clock.pump([1] * 100)
        self.limits.restart()
        self.queue.set_concurrency(1)
        self.clock.pump([1] * 60)
        self.assertEqual((self.begun, self.failed), (["a"], []))
        self.clock.advance(1)
        self.assertEqual(self.names_of_failed(), ["b"])

    def test_crowded(self) -> None:
        """Only while all turns are taken, and somebody waits for longer than a moment."""
        self.use(turns=2)
        self.wait("a", "b")
        self.clock.pump([1] * 5)
        self.wait("c")
        self.clock.advance(1)
        self.assertEqual(self.crowded, 0)
        self.clock.pump([1] * 3)
        self.assertEqual(self.crowded, 3)

    def test_said_once_in_a_while(self) -> None:
        """For each reason under an id that all share who fail meanwhile."""
        self.wait("under way", *"abcd")
        reason = "4 events wait for PHP already (--max-waiting)"
        ids = set()
        with capturedLogs() as events:
            for _ in range(5):
                error = self.limits.check(self.turn())
                assert error is not None
                ids.add(error.log_id)
        [event] = events
        self.assertEqual((event["log_level"], event["reason"]), (LogLevel.error, reason))
        self.assertEqual(event["count"], 1)
        self.assertEqual(ids, {event["event_id"]})
        self.clock.advance(30)
        with capturedLogs() as events:
            error = self.limits.check(self.turn())
        [event] = events
        self.assertEqual(event["count"], 5)
        assert error is not None
        self.assertEqual(error.log_id, event["event_id"])
        self.assertNotIn(error.log_id, ids)
