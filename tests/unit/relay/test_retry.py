"""Tests for :mod:`phpgw.relay.retry`."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.errors import BackendBroken, BackendUnreachable
from phpgw.backend.event import Event
from phpgw.backend.reply import Reply
from phpgw.metrics import Metrics
from phpgw.relay.breaker import Breaker, BreakerPolicy, CircuitOpen
from phpgw.relay.errors import ClientDisconnected
from phpgw.relay.retry import RetryingBackend
from tests.support.fake_backend import AskedEvent, FakeBackend
from tests.support.fakes import identity

_EVENT = Event("server", b"x", identity())


class FakeReceiver:
    """Notes the outcome of an event, and does what a test says then.

    :ivar at_outcome: returns what is to be waited for; to be set by the test.
    """

    follow = None

    def __init__(self) -> None:
        self.outcomes: list[Reply | Failure] = []
        self.at_outcome: Callable[[], Deferred[None] | None] = lambda: None

    def is_wanted(self) -> bool:
        return True

    def replied(self, reply: Reply) -> Deferred[None] | None:
        self.outcomes.append(reply)
        return self.at_outcome()

    def failed(self, failure: Failure) -> Deferred[None] | None:
        self.outcomes.append(failure)
        return self.at_outcome()


class PhpTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock: Any = Clock()
        self.metrics = Metrics()
        self.backend = FakeBackend()
        breaker = Breaker(self.clock, BreakerPolicy(failures=3), self.metrics)
        self.php = RetryingBackend(self.clock, self.backend, breaker, self.metrics)


class PhpTests(PhpTestCase):
    def test_answer(self) -> None:
        asked = self.php.ask(_EVENT)
        [there] = self.backend.asked
        self.assertIs(there.event, _EVENT)
        self.assertIsNone(there.follow)
        self.assertEqual((self.metrics.php_requests, self.metrics.php_requests_now), (1, 1))
        there.reply(b"yes")
        self.assertEqual(self.successResultOf(asked).body, b"yes")
        self.assertEqual((self.metrics.php_requests, self.metrics.php_requests_now), (1, 0))

    def test_asks_again_while_php_is_away(self) -> None:
        """Sooner at first, with the very same event, and the same follower."""
        heads = []
        asked = self.php.ask(_EVENT, lambda head, flow: heads.append(head))
        for index, delay in enumerate((0.1, 0.2, 0.4, 0.8)):
            self.backend.asked[index].refuse()
            self.clock.advance(delay - 0.01)
            self.assertEqual(len(self.backend.asked), index + 1)
            self.clock.advance(0.02)
            self.assertEqual(len(self.backend.asked), index + 2)
        self.assertEqual({there.event for there in self.backend.asked}, {_EVENT})
        self.assertEqual((self.metrics.php_requests, self.metrics.php_requests_now), (1, 1))
        self.assertEqual(self.metrics.php_retries, 4)
        self.backend.asked[4].begin()
        self.assertEqual(len(heads), 1)
        self.backend.asked[4].end()
        self.successResultOf(asked)
        self.assertEqual(self.metrics.php_requests_now, 0)

    def test_not_for_ever(self) -> None:
        self.backend.at_once = AskedEvent.refuse
        asked = self.php.ask(_EVENT)
        self.clock.pump([0.1] * 16)
        self.failureResultOf(asked, BackendUnreachable)
        self.assertEqual(len(self.backend.asked), 5)
        self.assertEqual(self.metrics.php_requests_now, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_not_again_after_a_long_attempt(self) -> None:
        """Such as one that waited for a PHP-FPM of our own to start."""
        asked = self.php.ask(_EVENT)
        self.clock.advance(4)
        self.backend.asked[0].refuse()
        self.clock.advance(0.1)
        self.clock.advance(10)
        self.backend.asked[1].refuse()
        self.failureResultOf(asked, BackendUnreachable)
        self.assertEqual((len(self.backend.asked), self.clock.getDelayedCalls()), (2, []))

    def test_what_may_have_reached_php_is_not_tried_again(self) -> None:
        asked = self.php.ask(_EVENT)
        self.backend.asked[0].break_off()
        self.failureResultOf(asked, BackendBroken)
        asked = self.php.ask(_EVENT)
        self.backend.asked[1].refuse()
        self.clock.advance(0.1)
        self.backend.asked[2].break_off()
        self.failureResultOf(asked, BackendBroken)
        self.clock.advance(10)
        self.assertEqual(len(self.backend.asked), 3)
        self.assertEqual(self.metrics.php_requests_now, 0)

    def test_nor_what_nobody_waits_for(self) -> None:
        """Also if that turns out only when the next attempt is due."""
        is_wanted = True
        asked = self.php.ask(_EVENT, is_wanted=lambda: is_wanted)
        self.backend.asked[0].refuse()
        self.clock.advance(0.1)
        self.backend.asked[1].refuse()
        self.clock.advance(0.1)
        is_wanted = False
        self.clock.advance(10)
        self.failureResultOf(asked, ClientDisconnected)
        self.assertEqual(len(self.backend.asked), 2)
        self.assertEqual(self.metrics.php_retries, 1)

    def test_cannot_even_be_asked(self) -> None:
        """It is an answer like any other, not an exception for whoever asks."""

        def fail(asked: AskedEvent) -> None:
            raise ZeroDivisionError

        self.backend.at_once = fail
        self.failureResultOf(self.php.ask(_EVENT), ZeroDivisionError)
        self.assertEqual(self.metrics.php_requests_now, 0)

    def test_cancelled_while_php_works(self) -> None:
        asked = self.php.ask(_EVENT)
        asked.cancel()
        self.assertTrue(self.backend.asked[0].is_cancelled)
        self.failureResultOf(asked, CancelledError)
        self.assertEqual(self.metrics.php_requests_now, 0)

    def test_cancelled_in_between(self) -> None:
        asked = self.php.ask(_EVENT)
        self.backend.asked[0].refuse()
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.metrics.php_requests_now, 0)

    def test_cancelled_while_asked_again(self) -> None:
        asked = self.php.ask(_EVENT)
        self.backend.asked[0].refuse()
        self.clock.advance(0.1)
        asked.cancel()
        self.assertTrue(self.backend.asked[1].is_cancelled)
        self.failureResultOf(asked, CancelledError)
        self.assertEqual(self.metrics.php_requests_now, 0)


class BreakerTests(PhpTestCase):
    def fail_times(self, count: int) -> None:
        self.backend.at_once = AskedEvent.refuse
        for _ in range(count):
            asked = self.php.ask(_EVENT)
            self.clock.pump([0.1] * 16)
            self.failureResultOf(asked, BackendUnreachable)
        self.backend.at_once = lambda asked: None
        self.backend.asked.clear()

    def test_not_asked_any_more(self) -> None:
        self.assertFalse(self.php.is_away)
        self.assertIsNone(self.php.obstacle())
        self.fail_times(3)
        self.assertTrue(self.php.is_away)
        self.assertIsNotNone(self.php.obstacle())
        for _ in range(5):
            self.failureResultOf(self.php.ask(_EVENT), CircuitOpen)
        self.assertEqual(self.backend.asked, [])
        self.assertEqual((self.metrics.php_requests, self.metrics.php_requests_now), (3, 0))

    def test_asked_again(self) -> None:
        """By one event, and by all once that is answered."""
        self.fail_times(3)
        self.clock.advance(1)
        first = self.php.ask(_EVENT)
        self.failureResultOf(self.php.ask(_EVENT), CircuitOpen)
        self.backend.asked[0].reply(b"yes")
        self.successResultOf(first)
        self.assertFalse(self.php.is_away)
        self.php.ask(_EVENT)
        self.php.ask(_EVENT)
        self.assertEqual(len(self.backend.asked), 3)

    def test_long_answer(self) -> None:
        """The others need not wait for its end."""
        self.fail_times(3)
        self.clock.advance(1)
        heads = []
        self.php.ask(_EVENT, lambda head, flow: heads.append(head))
        self.backend.asked[0].begin()
        self.assertFalse(self.php.is_away)
        self.assertEqual(len(heads), 1)

    def test_restart_of_php(self) -> None:
        """As long as it is waited for, it does not count."""
        asked = [self.php.ask(_EVENT) for _ in range(10)]
        for there in self.backend.asked[:]:
            there.refuse()
        self.clock.advance(0.1)
        for there in self.backend.asked[10:]:
            there.reply()
        for each in asked:
            self.successResultOf(each)
        self.assertFalse(self.php.is_away)

    def test_clients_that_left_while_it_was_waited_for(self) -> None:
        """They say nothing about PHP: the others are still waiting for it."""
        asked = [self.php.ask(_EVENT, is_wanted=lambda: False) for _ in range(10)]
        for there in self.backend.asked:
            there.refuse()
        self.clock.advance(0.1)
        for each in asked:
            self.failureResultOf(each, ClientDisconnected)
        self.assertFalse(self.php.is_away)

    def test_php_that_stays_away(self) -> None:
        self.backend.at_once = AskedEvent.refuse
        asked = [self.php.ask(_EVENT) for _ in range(3)]
        self.clock.pump([0.1] * 14)
        self.assertFalse(self.php.is_away)
        self.clock.pump([0.1] * 2)
        self.assertTrue(self.php.is_away)
        for each in asked:
            self.failureResultOf(each, BackendUnreachable)


class ReceiverTests(PhpTestCase):
    """A receiver gets one outcome, and can be cancelled until all is done."""

    def setUp(self) -> None:
        super().setUp()
        self.receiver = FakeReceiver()

    def test_outcome(self) -> None:
        """What comes after it has no effect."""
        for end in (AskedEvent.reply, AskedEvent.break_off):
            receiver = FakeReceiver()
            sending = self.php.send(_EVENT, receiver)
            end(self.backend.asked[-1])
            sending.cancel()
            self.assertEqual(1, len(receiver.outcomes))
            self.assertFalse(self.backend.asked[-1].is_cancelled)

    def test_outcome_at_once(self) -> None:
        for at_once in (AskedEvent.reply, AskedEvent.break_off):
            receiver = FakeReceiver()
            self.backend.at_once = at_once
            self.php.send(_EVENT, receiver).cancel()
            self.assertEqual(1, len(receiver.outcomes))
            self.assertEqual(0, self.metrics.php_requests_now)

    def test_cancelled_while_it_is_carried_out(self) -> None:
        for end in (AskedEvent.reply, AskedEvent.break_off):
            cancelled: list[object] = []
            receiver = FakeReceiver()
            ending: Deferred[None] = Deferred(cancelled.append)
            ending.addErrback(lambda failure: failure.trap(CancelledError))
            receiver.at_outcome = lambda ending=ending: ending  # type: ignore[misc]
            sending = self.php.send(_EVENT, receiver)
            end(self.backend.asked[-1])
            sending.cancel()
            self.assertEqual([ending], cancelled)

    def test_cancelled_while_it_is_carried_out_after_a_retry(self) -> None:
        cancelled: list[object] = []
        ending: Deferred[None] = Deferred(cancelled.append)
        ending.addErrback(lambda failure: failure.trap(CancelledError))
        self.receiver.at_outcome = lambda: ending
        sending = self.php.send(_EVENT, self.receiver)
        self.backend.asked[0].refuse()
        self.clock.advance(0.1)
        self.backend.asked[1].reply()
        sending.cancel()
        self.assertEqual([ending], cancelled)
        self.assertEqual(1, len(self.receiver.outcomes))

    def test_exception(self) -> None:
        """It is logged, and reaches no backend."""

        def fail() -> None:
            raise ZeroDivisionError

        self.receiver.at_outcome = fail
        for end in (AskedEvent.reply, AskedEvent.break_off):
            self.php.send(_EVENT, self.receiver)
            end(self.backend.asked[-1])
            self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
            self.assertEqual(0, self.metrics.php_requests_now)
