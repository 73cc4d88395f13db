"""Tests for :mod:`phpgw.websocket.lost_connections`."""

from collections.abc import Iterable

from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from phpgw.websocket.lost_connections import LostConnections
from tests.support.in_memory_gateway import running_gateway


class LostConnectionsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.lost = LostConnections(self.clock.seconds)

    def lines(self, ages: Iterable[float], every: float = 3) -> list[str]:
        """Lose connections of these ages, one every so many seconds; return the log's lines."""
        with capturedLogs() as events:
            for age in ages:
                self.clock.advance(every)
                self.lost.add(age)
        return [formatEvent(event) or "" for event in events]

    def test_cut(self) -> None:
        """Connections that are lost at the same age are reported, with what helps."""
        [line] = self.lines([60.1, 60.3, 12, 60.2, 60.1, 47, 60.2, 60.3, 60.2, 60.1, 60.2])
        self.assertIn("8 of the last 10", line)
        self.assertIn("open for 60 s", line)
        self.assertIn("--ping-interval", line)
        self.assertIn("--idle 120s", line)

    def test_different_ages(self) -> None:
        """People who leave, or lose their network, do so at any time."""
        self.assertEqual([], self.lines(5 + 1.7 * number for number in range(200)))

    def test_all_at_once(self) -> None:
        """A proxy that restarts ends connections of the same age together."""
        self.assertEqual([], self.lines([60] * 100, every=0.01))

    def test_short(self) -> None:
        """Pages that were left at once are no news."""
        self.assertEqual([], self.lines([2] * 100))

    def test_limited(self) -> None:
        """A line in ten minutes is enough, whatever is lost."""
        self.assertEqual(2, len(self.lines([60] * 300)))

    def test_in_a_gateway(self) -> None:
        """Connections without a close frame count, and no others."""
        for is_lost in (True, False):
            with running_gateway() as it, capturedLogs() as events:
                browsers = []
                for _ in range(10):
                    browsers.append(it.connect())
                    it.reactor.advance(2)
                for browser in browsers:
                    if not is_lost:
                        browser.send(b"\x88\x80\0\0\0\0")
                    browser.hang_up(cleanly=is_lost)
                    it.reactor.advance(2)
            found = [each for each in events if each.get("log_level") is LogLevel.warn]
            self.assertEqual(is_lost, bool(found), [formatEvent(each) for each in found])
