"""Tests for :mod:`phpgw.php.breaker`."""

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend import (
    BackendBroken,
    BackendBusy,
    BackendTimeout,
    BackendUnreachable,
    Head,
    Reply,
    ReplyTooLarge,
)
from phpgw.metrics import Metrics
from phpgw.php.answers import ClientLeft
from phpgw.php.breaker import Breaker, BreakerPolicy, CircuitOpen

_ANSWER = Reply(Head(200), b"yes")
_TIMEOUT = Failure(BackendTimeout("no answer within 10 s"))


class BreakerTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock: Any = Clock()
        self.metrics = Metrics()
        self.breaker = self.make(failures=3)

    def make(self, failures: int, *statuses: int) -> Breaker:
        policy = BreakerPolicy(failures=failures, statuses=frozenset(statuses))
        return Breaker(self.clock, policy, self.metrics)

    def fail_times(self, count: int, outcome: Reply | Failure = _TIMEOUT) -> None:
        for _ in range(count):
            self.breaker.leave(self.breaker.enter(), outcome)

    def assert_refused(self) -> CircuitOpen:
        return self.assertRaises(CircuitOpen, self.breaker.enter)


class OpeningTests(BreakerTestCase):
    def test_after_so_many_failures(self) -> None:
        self.fail_times(2)
        self.assertFalse(self.breaker.is_open)
        self.assertIsNone(self.breaker.trouble())
        self.fail_times(1)
        self.assertTrue(self.breaker.is_open)
        error = self.assert_refused()
        self.assertEqual(str(error), "PHP does not answer; it is asked again in 1 s")
        self.assertEqual(str(error), self.breaker.trouble())
        self.assertEqual(self.metrics.breaker_open_now, 1)
        self.assertEqual(self.metrics.breaker_openings, 1)
        self.assertEqual(self.metrics.events_refused_by_breaker, 1)

    def test_in_a_row(self) -> None:
        for _ in range(5):
            self.fail_times(2)
            self.fail_times(1, _ANSWER)
        self.assertFalse(self.breaker.is_open)

    def test_many_that_fail_together(self) -> None:
        """As many as PHP works on at once; they open it once."""
        tickets = [self.breaker.enter() for _ in range(16)]
        for ticket in tickets:
            self.breaker.leave(ticket, _TIMEOUT)
        self.assertEqual(self.metrics.breaker_openings, 1)
        self.clock.advance(1)
        self.breaker.enter()

    def test_never(self) -> None:
        self.breaker = self.make(failures=0)
        self.fail_times(100)
        self.assertFalse(self.breaker.is_open)

    def test_what_counts(self) -> None:
        for outcome in (_TIMEOUT, Failure(BackendUnreachable("no connection"))):
            self.breaker = self.make(failures=1)
            self.fail_times(1, outcome)
            self.assertTrue(self.breaker.is_open, outcome)

    def test_what_is_a_sign_of_life(self) -> None:
        """A script that breaks off, prints too much or answers with an error is one that runs."""
        for outcome in (
            Reply(Head(500)),
            Reply(Head(503)),
            Failure(BackendBroken("cut off")),
            Failure(ReplyTooLarge("too large")),
            Failure(ZeroDivisionError()),
        ):
            self.fail_times(2)
            self.fail_times(1, outcome)
            self.fail_times(2)
            self.assertFalse(self.breaker.is_open, outcome)
            self.fail_times(1, _ANSWER)

    def test_what_says_nothing(self) -> None:
        for outcome in (
            Failure(CancelledError()),
            Failure(ClientLeft("the client has left")),
            Failure(BackendBusy("no worker")),
        ):
            self.breaker = self.make(failures=2)
            self.fail_times(1)
            self.fail_times(10, outcome)
            self.assertFalse(self.breaker.is_open)
            self.fail_times(1)
            self.assertTrue(self.breaker.is_open)

    def test_web_server_without_php(self) -> None:
        for status in (502, 504):
            self.breaker = self.make(1, 502, 504)
            self.fail_times(1, Reply(Head(503)))
            self.assertFalse(self.breaker.is_open)
            self.fail_times(1, Reply(Head(status), b"Bad Gateway"))
            self.assertTrue(self.breaker.is_open)

    def test_said_once(self) -> None:
        """Under the id by which all know it that fail meanwhile."""
        with capturedLogs() as events:
            self.fail_times(3)
            errors = [self.assert_refused() for _ in range(3)]
        [event] = events
        self.assertEqual(event["log_level"], LogLevel.error)
        self.assertEqual((event["count"], event["reason"]), (3, "no answer within 10 s"))
        self.assertEqual({error.error_id for error in errors}, {event["error_id"]})


class OpenTests(BreakerTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.fail_times(3)

    def test_one_is_let_through(self) -> None:
        self.clock.advance(0.9)
        self.assert_refused()
        self.clock.advance(0.1)
        self.assertIsNone(self.breaker.trouble())
        self.breaker.enter()
        self.assertEqual(str(self.assert_refused()), "PHP does not answer; it is being asked again")
        self.clock.advance(1000)
        self.assert_refused()

    def test_answered(self) -> None:
        self.assert_refused()
        self.clock.advance(1)
        ticket = self.breaker.enter()
        with capturedLogs() as events:
            self.breaker.leave(ticket, _ANSWER)
        self.assertFalse(self.breaker.is_open)
        self.assertEqual(self.metrics.breaker_open_now, 0)
        [event] = events
        self.assertEqual((event["log_level"], event["count"]), (LogLevel.info, 1))
        self.fail_times(2)
        self.assertFalse(self.breaker.is_open)

    def test_pauses_double_up_to_half_a_minute(self) -> None:
        for pause in (1, 2, 4, 8, 16, 30, 30, 30):
            self.clock.advance(pause - 0.5)
            self.assert_refused()
            self.clock.advance(0.5)
            with capturedLogs() as events:
                self.fail_times(1)
            self.assertEqual(events, [])
        self.clock.advance(30)
        self.fail_times(1, _ANSWER)
        self.fail_times(3)
        self.clock.advance(1)
        self.breaker.enter()

    def test_nobody_waits_for_the_one_let_through(self) -> None:
        """Then it is up to the next one."""
        self.clock.advance(1)
        self.fail_times(1, Failure(CancelledError()))
        self.assertTrue(self.breaker.is_open)
        self.breaker.enter()
        self.assert_refused()

    def test_head_of_a_long_answer(self) -> None:
        self.clock.advance(1)
        ticket = self.breaker.enter()
        self.breaker.hear(Head(200))
        self.assertFalse(self.breaker.is_open)
        self.breaker.leave(ticket, _TIMEOUT)
        self.fail_times(2)
        self.assertFalse(self.breaker.is_open)

    def test_head_of_a_web_servers_answer(self) -> None:
        self.breaker = self.make(1, 502)
        self.fail_times(1)
        self.clock.advance(1)
        self.breaker.enter()
        self.breaker.hear(Head(502))
        self.assertTrue(self.breaker.is_open)


class StaleTests(BreakerTestCase):
    """Events that were under way before the breaker opened, or closed."""

    def test_answer_while_open(self) -> None:
        """PHP is back, whoever heard of it."""
        ticket = self.breaker.enter()
        self.fail_times(3)
        self.breaker.leave(ticket, _ANSWER)
        self.assertFalse(self.breaker.is_open)

    def test_failure_while_open(self) -> None:
        """It does not put off the time when PHP is asked again."""
        ticket = self.breaker.enter()
        self.fail_times(3)
        self.clock.advance(0.5)
        self.breaker.leave(ticket, _TIMEOUT)
        self.clock.advance(0.5)
        self.breaker.enter()

    def test_failure_while_php_is_asked_again(self) -> None:
        ticket = self.breaker.enter()
        self.fail_times(3)
        self.clock.advance(1)
        self.breaker.enter()
        self.breaker.leave(ticket, _TIMEOUT)
        self.assertIn("being asked", str(self.assert_refused()))

    def test_failures_when_it_is_closed_again(self) -> None:
        tickets = [self.breaker.enter() for _ in range(16)]
        self.fail_times(3)
        self.clock.advance(1)
        self.fail_times(1, _ANSWER)
        for ticket in tickets:
            self.breaker.leave(ticket, _TIMEOUT)
        self.assertFalse(self.breaker.is_open)
