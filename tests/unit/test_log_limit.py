"""Tests for :mod:`phpgw.log_limit`."""

from typing import Any, cast

from twisted.application.service import MultiService
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogEvent, Logger, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from phpgw.log_limit import LineLimit, LineLimitService, LogThrottle, line_limit


class SeldomTests(SynchronousTestCase):
    def test_flood(self) -> None:
        """The first event is logged at once. Later lines have the number of events."""
        clock = Clock()
        throttle = LogThrottle(clock.seconds)
        told = []
        for _ in range(25):
            told.append(throttle.count())
            clock.advance(1)
        self.assertEqual([1, 10, 10], [count for count in told if count])
        clock.advance(3600)
        self.assertEqual(5, throttle.count())

    def test_now_and_then(self) -> None:
        clock = Clock()
        throttle = LogThrottle(clock.seconds)
        for _ in range(3):
            self.assertEqual(1, throttle.count())
            clock.advance(11)


class LineLimitTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.events: list[LogEvent] = []
        self.limit = LineLimit(cast(Any, self.events.append))
        self.log = Logger("phpgw.some.Room", observer=self.limit)

    def lines(self) -> list[str]:
        lines = [formatEvent(event) for event in self.events]
        self.events.clear()
        return lines

    def test_not_started(self) -> None:
        for number in range(1000):
            self.log.info("{number}", number=number)
        self.assertEqual(1000, len(self.lines()))

    def test_flood(self) -> None:
        """The first lines pass. At the end of the interval, the others are counted."""
        self.limit.start(self.clock)
        for number in range(1000):
            self.log.warn("Client {number} left", number=number)
        self.assertEqual([f"Client {number} left" for number in range(50)], self.lines())
        self.clock.advance(10)
        [event] = self.events
        self.assertEqual(
            ["950 more lines like this within 10 s: 'Client {number} left'"], self.lines()
        )
        self.assertEqual("phpgw.some.Room", event["log_namespace"])
        self.assertEqual("warn", event["log_level"].name)
        # And once more.
        self.log.warn("Client {number} left", number=1000)
        self.assertEqual(["Client 1000 left"], self.lines())
        self.clock.advance(10)
        self.assertEqual([], self.lines())
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_debug(self) -> None:
        """Debug lines, which are asked for, have a higher limit."""
        self.limit.start(self.clock)
        for number in range(3000):
            self.log.debug("Event {number}", number=number)
        self.assertEqual(1000, len(self.lines()))
        self.clock.advance(10)
        self.assertEqual(["2000 more lines like this within 10 s: 'Event {number}'"], self.lines())

    def test_for_ever(self) -> None:
        """A long flood causes a fixed number of lines in each interval."""
        self.limit.start(self.clock)
        for _ in range(10_000):
            self.log.info("x")
            self.clock.advance(0.01)
        self.assertLessEqual(len(self.lines()), 10 * 51)

    def test_other_kinds(self) -> None:
        """Other kinds of lines are not limited by a flood."""
        self.limit.start(self.clock)
        other = Logger("phpgw.other.Room", observer=self.limit)
        for _ in range(1000):
            self.log.info("often")
        self.lines()
        self.log.info("throttle")
        other.info("often")
        try:
            raise ValueError("x")
        except ValueError:
            self.log.failure("broken")
        self.assertEqual(["throttle", "often", "broken"], self.lines())

    def test_the_end(self) -> None:
        """At the end, the summary is logged."""
        self.limit.start(self.clock)
        for _ in range(51):
            self.log.info("x")
        self.lines()
        self.limit.stop()
        self.assertEqual(["1 more lines like this within 10 s: 'x'"], self.lines())
        self.assertEqual([], self.clock.getDelayedCalls())
        self.test_not_started()

    def test_with_the_gateway(self) -> None:
        """The limit works until the process ends, since a stop may log a line for each client."""
        reactor: Any = MemoryReactorClock()
        services = MultiService()
        LineLimitService(reactor).setServiceParent(services)
        services.startService()
        self.addCleanup(line_limit.stop)
        services.stopService()
        self.assertIsNotNone(line_limit._reactor)
        for call, arguments, keywords in reactor.triggers["after"]["shutdown"]:
            call(*arguments, **keywords)
        self.assertIsNone(line_limit._reactor)
