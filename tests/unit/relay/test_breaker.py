"""Tests for :mod:`phpgw.relay.breaker`."""

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.errors import (
    BackendBroken,
    BackendBusy,
    BackendTimeout,
    BackendUnreachable,
    ReplyTooLarge,
)
from phpgw.backend.event import Event
from phpgw.backend.reply import Head, Reply
from phpgw.metrics import Metrics
from phpgw.relay import breaker
from phpgw.relay.breaker import Breaker, BreakerPolicy, CircuitOpen, Ticket
from phpgw.relay.errors import ClientDisconnected
from tests.support.fakes import handshake, identity

_ANSWER = Reply(Head(200), b"yes")
_AWAY = Failure(BackendUnreachable("no connection"))
_TIMEOUT = Failure(BackendTimeout("no answer within 10 s"))


def event(name: str = "192.0.2.1:5000", host: str = "127.0.0.1") -> Event:
    """One of a client with this id and address."""
    return Event("server", b"x", identity(name, handshake=handshake(peer_host=host)))


class BreakerTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock: Any = Clock()
        self.metrics = Metrics()
        self.breaker = self.make(failures=3)

    def make(self, failures: int, *statuses: int) -> Breaker:
        policy = BreakerPolicy(failures=failures, statuses=frozenset(statuses))
        return Breaker(self.clock, policy, self.metrics)

    def fail_times(self, count: int, outcome: Reply | Failure = _AWAY) -> None:
        for _ in range(count):
            self.breaker.leave(self.enter(), outcome)

    def enter(self, name: str = "192.0.2.1:5000", host: str = "127.0.0.1") -> Ticket:
        return self.breaker.enter(event(name, host))

    def assert_refused(self, name: str = "192.0.2.1:5000") -> CircuitOpen:
        return self.assertRaises(CircuitOpen, self.breaker.enter, event(name))


class OpeningTests(BreakerTestCase):
    def test_after_so_many_failures(self) -> None:
        self.fail_times(2)
        self.assertFalse(self.breaker.is_open)
        self.assertIsNone(self.breaker.obstacle())
        self.fail_times(1)
        self.assertTrue(self.breaker.is_open)
        error = self.assert_refused()
        self.assertEqual(str(error), "PHP does not answer; it is asked again in 1 s")
        self.assertEqual(str(error), self.breaker.obstacle())
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
        tickets = [self.enter() for _ in range(16)]
        for ticket in tickets:
            self.breaker.leave(ticket, _AWAY)
        self.assertEqual(self.metrics.breaker_openings, 1)
        self.clock.advance(1)
        self.enter()

    def test_never(self) -> None:
        self.breaker = self.make(failures=0)
        self.fail_times(100)
        self.assertFalse(self.breaker.is_open)

    def test_what_counts(self) -> None:
        for outcome in (_TIMEOUT, _AWAY):
            self.breaker = self.make(failures=1)
            ticket = self.enter()
            self.clock.advance(10)
            self.breaker.leave(ticket, outcome)
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
            Failure(ClientDisconnected("the client has left")),
            Failure(BackendBusy("no worker was free within 10 s")),
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
            self.assertFalse(self.breaker.is_open)
            self.clock.advance(3)
            self.fail_times(1, Reply(Head(status), b"Bad Gateway"))
            self.assertTrue(self.breaker.is_open)

    def test_said_once(self) -> None:
        """Under the id by which all know it that fail meanwhile."""
        with capturedLogs() as events:
            self.fail_times(3)
            errors = [self.assert_refused() for _ in range(3)]
        [event] = events
        self.assertEqual(event["log_level"], LogLevel.error)
        self.assertEqual((event["count"], event["reason"]), (3, "no connection"))
        self.assertEqual({error.log_id for error in errors}, {event["event_id"]})


class OpenTests(BreakerTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.fail_times(3)

    def test_one_is_let_through(self) -> None:
        self.clock.advance(0.9)
        self.assert_refused()
        self.clock.advance(0.1)
        self.assertIsNone(self.breaker.obstacle())
        self.enter()
        self.assertEqual(str(self.assert_refused()), "PHP does not answer; it is being asked again")
        self.clock.advance(1000)
        self.assert_refused()

    def test_answered(self) -> None:
        self.assert_refused()
        self.clock.advance(1)
        ticket = self.enter()
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
        self.enter()

    def test_nobody_waits_for_the_one_let_through(self) -> None:
        """Then it is up to the next one."""
        self.clock.advance(1)
        self.fail_times(1, Failure(CancelledError()))
        self.assertTrue(self.breaker.is_open)
        self.enter()
        self.assert_refused()

    def test_head_of_a_long_answer(self) -> None:
        self.clock.advance(1)
        ticket = self.enter()
        self.breaker.note_head(Head(200))
        self.assertFalse(self.breaker.is_open)
        self.breaker.leave(ticket, _AWAY)
        self.fail_times(2)
        self.assertFalse(self.breaker.is_open)

    def test_head_of_a_web_servers_answer(self) -> None:
        self.breaker = self.make(1, 502)
        self.fail_times(1)
        self.clock.advance(1)
        self.enter()
        self.breaker.note_head(Head(502))
        self.assertTrue(self.breaker.is_open)


class StaleTests(BreakerTestCase):
    """Events that were under way before the breaker opened, or closed."""

    def test_answer_while_open(self) -> None:
        """PHP is back, whoever heard of it."""
        ticket = self.enter()
        self.fail_times(3)
        self.breaker.leave(ticket, _ANSWER)
        self.assertFalse(self.breaker.is_open)

    def test_failure_while_open(self) -> None:
        """It does not put off the time when PHP is asked again."""
        ticket = self.enter()
        self.fail_times(3)
        self.clock.advance(0.5)
        self.breaker.leave(ticket, _AWAY)
        self.clock.advance(0.5)
        self.enter()

    def test_failure_while_php_is_asked_again(self) -> None:
        ticket = self.enter()
        self.fail_times(3)
        self.clock.advance(1)
        self.enter()
        self.breaker.leave(ticket, _AWAY)
        self.assertIn("being asked", str(self.assert_refused()))

    def test_failures_when_it_is_closed_again(self) -> None:
        tickets = [self.enter() for _ in range(16)]
        self.fail_times(3)
        self.clock.advance(1)
        self.fail_times(1, _ANSWER)
        for ticket in tickets:
            self.breaker.leave(ticket, _AWAY)
        self.assertFalse(self.breaker.is_open)


class SuspectTests(BreakerTestCase):
    """What one event can cause, somebody can send on purpose."""

    bad = Reply(Head(502), b"Bad Gateway")

    def setUp(self) -> None:
        super().setUp()
        self.breaker = self.make(3, 502, 503, 504)

    def fail_for(
        self, *names: str, host: str = "127.0.0.1", outcome: Reply | Failure | None = None
    ) -> None:
        """Have an event of each of these clients fail, a second after the other."""
        for name in names:
            ticket = self.enter(name, host)
            self.clock.advance(1)
            self.breaker.leave(ticket, outcome or self.bad)

    def test_one_client(self) -> None:
        """Whatever it is that fails, and however often."""
        for outcome in (self.bad, _TIMEOUT):
            self.fail_for(*["bad"] * 100, outcome=outcome)
            self.assertFalse(self.breaker.is_open)

    def test_one_address(self) -> None:
        """With however many clients; an IPv6 network is one."""
        for number in range(50):
            self.fail_for(f"192.0.2.1:{number}", host="192.0.2.1")
            self.fail_for(f"[2001:db8::{number}]:5", host=f"2001:db8::{number}")
        self.assertFalse(self.breaker.is_open)
        self.fail_for("198.51.100.7:1", host="198.51.100.7")
        self.assertTrue(self.breaker.is_open)

    def test_several(self) -> None:
        self.fail_for("a", "b", "a", "b")
        self.assertFalse(self.breaker.is_open)
        self.fail_for("c")
        self.assertTrue(self.breaker.is_open)

    def test_together_with_connections_that_cannot_be_made(self) -> None:
        self.fail_for("a", outcome=_AWAY)
        self.fail_for("a", "b", "b")
        self.assertTrue(self.breaker.is_open)

    def test_while_others_are_answered(self) -> None:
        """Then PHP is fine, however many fail at a time."""
        for number in range(20):
            tickets = [self.enter(f"bad {number} {each}") for each in range(20)]
            for ticket in tickets:
                self.breaker.leave(ticket, self.bad)
            self.clock.advance(2)
            self.fail_times(1, _ANSWER)
        self.assertEqual(self.metrics.breaker_openings, 0)

    def test_silence_begins_with_the_last_answer(self) -> None:
        tickets = [self.enter(name) for name in "abc"]
        self.clock.advance(9)
        self.fail_times(1, _ANSWER)
        self.clock.advance(1)
        for ticket in tickets:
            self.breaker.leave(ticket, _TIMEOUT)
        self.assertFalse(self.breaker.is_open)

    def test_who_has_not_failed_is_let_through_at_once(self) -> None:
        """And not kept waiting by one who has."""
        self.fail_for("a", "b", "c")
        for name in "abc":
            self.assert_refused(name)
        ticket = self.enter("good")
        self.assert_refused("other")
        self.breaker.leave(ticket, _ANSWER)
        self.assertFalse(self.breaker.is_open)

    def test_probe_is_not_for_who_has_just_failed(self) -> None:
        self.fail_for("a", "b", "c")
        self.clock.advance(1)
        self.assert_refused("c")
        suspect = self.enter("a")
        self.assert_refused("b")
        good = self.enter("good")
        self.breaker.leave(suspect, self.bad)
        self.assertTrue(self.breaker.is_open)
        self.breaker.leave(good, _ANSWER)
        self.assertFalse(self.breaker.is_open)

    def test_nobody_else_is_left(self) -> None:
        """Then it is its turn, if a little later."""
        self.fail_for("a", "b", "c")
        self.clock.advance(2)
        self.breaker.leave(self.enter("c"), self.bad)
        self.clock.advance(3.9)
        self.assert_refused("c")
        self.clock.advance(0.1)
        self.enter("c")

    def test_too_many_to_tell_apart(self) -> None:
        self.patch(breaker, "_MAX_SUSPECTS", 3)
        self.fail_for("a", "b", "c")
        self.assert_refused("good")
        self.clock.advance(1)
        self.breaker.leave(self.enter("good"), self.bad)
        self.assert_refused("other")
