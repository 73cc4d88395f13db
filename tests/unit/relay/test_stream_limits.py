"""Tests for :mod:`phpgw.relay.stream_limits`."""

from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from phpgw.metrics import Metrics
from phpgw.relay.fifo import DeferredEvent
from phpgw.relay.queue import EventQueue
from phpgw.relay.stream_limits import LimitedFlow, StreamLimits
from tests.support.fake_backend import FakeFlow


class StreamLimitsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock: Any = Clock()
        self.ended: list[str] = []
        self.use(turns=4)

    def use(self, turns: int) -> None:
        self.queue = EventQueue(turns, Metrics())
        self.limits = StreamLimits(self.clock, self.queue, 10, 60)

    def flow(self, name: str = "a") -> LimitedFlow:
        end = partial(self.ended.append, name)
        return LimitedFlow(self.limits, FakeFlow(), end, lambda error: end())

    def drip(self, flow: LimitedFlow, times: int, seconds: float = 9) -> None:
        """Pause so often for so long, with a moment of reading in between."""
        for _ in range(times):
            flow.pause()
            self.clock.advance(seconds)
            flow.resume()
            self.clock.advance(0.1)

    def test_holds_php_up(self) -> None:
        held = FakeFlow()
        flow = LimitedFlow(self.limits, held, lambda: None, lambda error: None)
        flow.pause()
        self.assertTrue(held.is_paused)
        flow.resume()
        self.assertFalse(held.is_paused)

    def test_one_that_lasts(self) -> None:
        flow = self.flow()
        flow.pause()
        self.clock.advance(9)
        # What had been read before still came.
        flow.pause()
        self.assertEqual(self.ended, [])
        self.clock.advance(1)
        self.assertEqual(self.ended, ["a"])
        self.clock.advance(100)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_reads_slowly(self) -> None:
        flow = self.flow()
        self.drip(flow, 30)
        self.assertEqual(self.ended, [])

    def test_too_many(self) -> None:
        """Whoever reads a little now and then does not hold PHP for ever, either."""
        self.drip(self.flow(), 40)
        self.assertEqual(set(self.ended), {"a"})

    def test_over_while_paused(self) -> None:
        flow = self.flow()
        flow.pause()
        self.limits.resume(flow)
        self.clock.advance(100)
        self.limits.make_room()
        self.assertEqual(self.ended, [])

    def test_share_while_others_wait(self) -> None:
        """Half of the queue; those go that were paused for longest."""
        for turns, left in ((1, 0), (2, 1), (4, 2), (5, 2)):
            self.ended = []
            self.use(turns)
            for name in "abc":
                self.flow(name).pause()
                self.clock.advance(1)
            self.limits.make_room()
            self.assertEqual(self.ended, list("abc")[: 3 - left], turns)
            self.limits.make_room()
            self.assertEqual(len(self.ended), 3 - left)

    def test_one_that_drips_goes_before_one_that_has_just_stopped(self) -> None:
        self.use(turns=2)
        dripping = self.flow("drips")
        self.drip(dripping, 3)
        self.flow("stopped").pause()
        self.clock.advance(5)
        dripping.pause()
        self.limits.make_room()
        self.assertEqual(self.ended, ["drips"])

    def test_a_moment_is_no_slowness(self) -> None:
        self.use(turns=1)
        self.flow().pause()
        self.clock.advance(0.5)
        self.limits.make_room()
        self.assertEqual(self.ended, [])

    def stream(self, name: str) -> LimitedFlow:
        """One that runs, in a turn of its own."""
        turn = DeferredEvent(lambda event, error: Deferred(), self.queue.messages)
        self.queue.enqueue(turn)
        self.queue.count_as_stream(turn)
        flow = self.flow(name)
        self.limits.watch(flow)
        return flow

    def wait(self) -> None:
        """Have somebody wait, from now on."""
        waiting = DeferredEvent(
            lambda event, error: Deferred(), self.queue.messages, self.clock.seconds()
        )
        self.queue.enqueue(waiting)

    def test_long_streams_make_way(self) -> None:
        """Where others would wait in vain, those beyond the share of streams, the oldest first."""
        for turns, left in ((1, 0), (2, 1), (4, 3), (8, 6)):
            self.ended = []
            self.use(turns)
            names = "abcdefgh"[:turns]
            for name in names:
                self.stream(name)
            self.wait()
            self.clock.advance(44)
            self.limits.make_room()
            self.assertEqual(self.ended, [])
            self.clock.advance(2)
            self.limits.make_room()
            self.assertEqual(self.ended, list(names[: turns - left]))

    def test_streams_that_have_not_run_for_long_stay(self) -> None:
        self.use(turns=2)
        self.stream("a")
        self.stream("b")
        self.clock.advance(20)
        self.wait()
        self.clock.advance(44)
        self.limits.make_room()
        self.assertEqual(self.ended, [])
        self.clock.advance(2)
        self.limits.make_room()
        self.assertEqual(self.ended, ["a"])

    def test_streams_that_are_over_do_not_count(self) -> None:
        self.use(turns=2)
        over, _ = self.stream("a"), self.stream("b")
        self.limits.remove(over)
        self.wait()
        self.clock.advance(50)
        self.limits.make_room()
        self.assertEqual(self.ended, ["b"])

    def test_streams_that_run_hold_all_turns(self) -> None:
        """The log says what to do."""
        for number in range(4):
            turn = DeferredEvent(lambda event, error: Deferred(), self.queue.messages)
            self.queue.enqueue(turn)
            if number == 3:
                with capturedLogs() as events:
                    self.limits.make_room()
                self.assertEqual(events, [])
            self.queue.count_as_stream(turn)
        with capturedLogs() as events:
            for _ in range(5):
                self.limits.make_room()
        [event] = events
        self.assertIn("pm.max_children", event["help"])
        self.assertIn("--php-concurrency", event["help"])
        self.assertEqual(self.ended, [])
