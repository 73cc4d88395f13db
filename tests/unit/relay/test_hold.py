"""Tests for :mod:`phpgw.relay.hold`."""

from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from phpgw.relay.errors import Draining
from tests.support.hold_fixture import HoldFixture


class HoldTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.holding = HoldFixture()
        self.hold = self.holding.hold
        self.relay = self.holding.relay
        self.clock = self.holding.clock

    def assert_held(self, seconds: float) -> None:
        self.assertTrue(self.hold.is_held)
        self.assertEqual(self.hold.seconds_left, seconds)
        self.assertEqual(self.holding.metrics.held_now, 1)

    def assert_not_held(self) -> None:
        self.assertFalse(self.hold.is_held)
        self.assertEqual(self.hold.seconds_left, 0)
        self.assertEqual(self.holding.metrics.held_now, 0)


class BeginTests(HoldTestCase):
    def test_nothing_goes_to_php(self) -> None:
        self.assert_not_held()
        with capturedLogs() as events:
            self.hold.begin(30)
        self.assertEqual(self.relay.allowed, [0])
        self.assert_held(30)
        [event] = events
        self.assertEqual((event["log_level"], event["seconds"]), (LogLevel.info, 30))

    def test_prolonged(self) -> None:
        self.hold.begin(30)
        self.clock.advance(20)
        self.assert_held(10)
        self.hold.begin(40)
        self.assert_held(40)
        self.clock.advance(39)
        self.assert_held(1)
        self.assertEqual(self.relay.allowed, [0])

    def test_made_shorter(self) -> None:
        self.hold.begin(60)
        self.hold.begin(1)
        self.clock.advance(1)
        self.assert_not_held()

    def test_while_it_lets_go(self) -> None:
        self.hold.begin(30)
        self.hold.release()
        self.clock.advance(0.1)
        self.hold.begin(30)
        self.assertEqual(self.relay.allowed[-1], 0)
        self.clock.advance(29)
        self.assertEqual(self.relay.allowed[-1], 0)
        self.assert_held(1)


class StillTests(HoldTestCase):
    def test_once_php_works_on_nothing(self) -> None:
        self.relay.running = 2
        self.hold.begin(30)
        still = self.hold.when_none_running(10)
        self.assertEqual(self.hold.running, 2)
        self.relay.end()
        self.assertNoResult(still)
        self.relay.end()
        self.successResultOf(still)

    def test_not_waited_for_any_longer(self) -> None:
        self.relay.running = 1
        self.hold.begin(30)
        still = self.hold.when_none_running(10)
        self.clock.advance(9)
        self.assertNoResult(still)
        self.clock.advance(1)
        self.successResultOf(still)
        self.assert_held(20)


class ReleaseTests(HoldTestCase):
    def test_at_a_pace(self) -> None:
        """A PHP that has everything to compile anew gets one event at first, and all in 2 s."""
        self.hold.begin(30)
        with capturedLogs() as events:
            self.hold.release()
        self.assert_not_held()
        [event] = events
        self.assertEqual(event["log_level"], LogLevel.info)
        self.assertEqual(self.relay.allowed, [0, 2])
        self.clock.pump([0.1] * 19)
        self.assertEqual(self.relay.allowed, [0, *range(2, 42, 2)])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_few_at_once(self) -> None:
        self.relay.concurrency = 2
        self.hold.begin(30)
        self.hold.release()
        self.clock.pump([0.1] * 20)
        self.assertEqual(self.relay.allowed, [0, *[1] * 19, 2])

    def test_by_itself(self) -> None:
        self.hold.begin(30)
        with capturedLogs() as events:
            self.clock.advance(30)
        self.assert_not_held()
        [event] = events
        self.assertEqual(event["log_level"], LogLevel.warn)
        self.clock.pump([0.1] * 20)
        self.assertEqual(self.relay.allowed[-1], 40)

    def test_not_held(self) -> None:
        with capturedLogs() as events:
            self.hold.release()
        self.assertEqual((self.relay.allowed, events), ([], []))

    def test_twice(self) -> None:
        """The second time does not begin anew."""
        self.hold.begin(30)
        self.hold.release()
        self.clock.advance(0.1)
        self.hold.release()
        self.assertEqual(self.relay.allowed, [0, 2, 4])


class StopTests(HoldTestCase):
    def test_all_at_once(self) -> None:
        """There is no time to lose."""
        self.hold.begin(30)
        self.hold.close()
        self.assert_not_held()
        self.assertEqual(self.relay.allowed, [0, 40])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_while_it_lets_go(self) -> None:
        self.hold.begin(30)
        self.hold.release()
        self.hold.close()
        self.assertEqual(self.relay.allowed[-1], 40)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_more(self) -> None:
        self.hold.close()
        self.assertRaises(Draining, self.hold.begin, 30)
        self.assert_not_held()
