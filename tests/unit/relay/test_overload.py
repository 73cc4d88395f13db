"""Tests for :mod:`phpgw.relay.overload`."""

from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.errors import BackendError
from phpgw.metrics import Metrics
from phpgw.relay.overload import Overloaded, WaitingLimits
from phpgw.relay.queue import Line, Turn, Turns


class WaitingLimitsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock: Any = Clock()
        self.metrics = Metrics()
        self.begun: list[str] = []
        self.failed: list[tuple[str, str]] = []
        self.crowded = 0
        self.use()

    def use(self, count: int = 4, seconds: float = 60, turns: int = 1) -> None:
        self.turns = Turns(turns)
        self.limits = WaitingLimits(
            self.clock, self.turns, count, seconds, self.metrics, self.note_crowd
        )

    def note_crowd(self) -> None:
        self.crowded += 1

    def begin(self, name: str, problem: BackendError | None) -> Deferred[None]:
        if problem is None:
            self.begun.append(name)
        else:
            self.failed.append((name, str(problem)))
        return Deferred()

    def turn(self, name: str = "x", line: Line | None = None, place: str | None = None) -> Turn:
        begin = partial(self.begin, name)
        line = self.turns.messages if line is None else line
        return Turn(begin, line, self.clock.seconds(), place)

    def wait(self, *names: str, line: Line | None = None, place: str | None = None) -> None:
        for name in names:
            self.turns.take(self.turn(name, line, place))
            self.limits.watch()

    def names_of_failed(self) -> list[str]:
        return [name for name, _ in self.failed]

    def test_count(self) -> None:
        self.wait("under way", *"abc")
        self.assertIsNone(self.limits.too_many(self.turn()))
        self.wait("d")
        error = self.limits.too_many(self.turn())
        self.assertIsInstance(error, Overloaded)
        self.assertEqual(str(error), "4 events wait for PHP already (--max-waiting)")
        self.assertEqual(self.metrics.events_refused_by_overload, 1)

    def test_handshakes_take_half(self) -> None:
        self.wait("under way")
        self.wait("a", "b", line=self.turns.handshakes)
        self.assertIn(
            "handshakes", str(self.limits.too_many(self.turn("c", self.turns.handshakes)))
        )
        self.assertIsNone(self.limits.too_many(self.turn()))

    def test_handshakes_of_one_network(self) -> None:
        self.use(count=2000)
        self.wait("under way")
        self.wait(*"abcdefghijklmnopqrst", line=self.turns.handshakes, place="here")
        for place, is_refused in (("here", True), ("there", False), (None, False)):
            turn = self.turn("x", self.turns.handshakes, place)
            self.assertEqual(self.limits.too_many(turn) is not None, is_refused)
        self.assertIsNone(self.limits.too_many(self.turn(place="here")))

    def test_one_network_takes_half(self) -> None:
        self.wait("under way", place="here")
        self.wait("a", place="here")
        self.wait("b", line=self.turns.handshakes, place="here")
        self.assertIn("one address", str(self.limits.too_many(self.turn(place="here"))))
        self.assertIsNone(self.limits.too_many(self.turn(place="there")))
        self.assertIsNone(self.limits.too_many(self.turn(place=None)))

    def test_time(self) -> None:
        """It is over when it is over, whether a turn comes or not."""
        self.wait("under way", "a")
        self.clock.pump([1] * 30)
        self.wait("b")
        self.wait("c", line=self.turns.handshakes)
        self.clock.pump([1] * 30)
        self.assertEqual(self.failed, [])
        self.clock.advance(1)
        self.assertEqual(
            self.failed, [("a", "PHP had no time for it within 60 s (--waiting-timeout)")]
        )
        self.clock.pump([1] * 30)
        self.assertEqual(self.names_of_failed(), ["a", "b", "c"])
        self.assertEqual(self.metrics.events_refused_by_overload, 3)
        self.assertEqual(self.turns.waiting, 0)
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
        cancel_overdue = self.turns.cancel_overdue

        def counted(since: float, most: int) -> list[Turn]:
            overdue = cancel_overdue(since, most)
            counts.append(len(overdue))
            return overdue

        self.turns.cancel_overdue = counted  # type: ignore[method-assign]
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
        self.wait("d", line=self.turns.disconnects)
        self.clock.pump([1] * 100)
        self.assertEqual(self.names_of_failed(), ["a"])
        self.assertEqual(len(self.turns.disconnects), 1)

    def test_streams_that_wait_for_their_share(self) -> None:
        """They could run; once all turns are taken they wait like everybody else."""
        self.use(turns=2)
        self.wait("s0", "s1", line=self.turns.streams)
        self.clock.pump([1] * 100)
        self.assertEqual((self.begun, self.failed), (["s0"], []))
        self.wait("a")
        self.clock.pump([1] * 2)
        self.assertEqual(self.names_of_failed(), ["s1"])

    def test_held(self) -> None:
        """Waiting for the end of a hold is not waiting for PHP."""
        self.turns.allow(0)
        self.wait("a", "b")
        self.clock.pump([1] * 100)
        self.limits.start_anew()
        self.turns.allow(1)
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
                error = self.limits.too_many(self.turn())
                assert error is not None
                ids.add(error.error_id)
        [event] = events
        self.assertEqual((event["log_level"], event["reason"]), (LogLevel.error, reason))
        self.assertEqual(event["count"], 1)
        self.assertEqual(ids, {event["error_id"]})
        self.clock.advance(30)
        with capturedLogs() as events:
            error = self.limits.too_many(self.turn())
        [event] = events
        self.assertEqual(event["count"], 5)
        assert error is not None
        self.assertEqual(error.error_id, event["error_id"])
        self.assertNotIn(error.error_id, ids)
