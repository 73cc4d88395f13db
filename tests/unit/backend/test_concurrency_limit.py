"""Tests for :mod:`phpgw.backend.concurrency_limit`."""

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.concurrency_limit import ConcurrencyLimit
from phpgw.backend.errors import BackendBusy, BackendTimeout
from phpgw.backend.event import Event
from phpgw.backend.reply import Reply
from phpgw.metrics import Metrics
from tests.support.fake_backend import AskedEvent, FakeBackend
from tests.support.fakes import identity
from tests.support.reply_recorder import ReplyRecorder


class LimitedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.metrics = Metrics()
        self.inner = FakeBackend()
        self.backend = ConcurrencyLimit(
            self.clock,
            self.inner,
            limit=2,
            timeout=60,
            longest_run=600,
            metrics=self.metrics,
        )

    def ask(self, message: bytes = b"x") -> Deferred[Reply]:
        return self.backend.ask(Event("server", message, identity()))

    def time_out(self, asked: AskedEvent) -> Deferred[None]:
        """Have an event fail whose script goes on until the result fires."""
        ended: Deferred[None] = Deferred()
        asked.answer.errback(BackendTimeout("too slow", ended))
        return ended

    @property
    def messages(self) -> list[bytes]:
        return [asked.event.message for asked in self.inner.asked]

    def test_within_the_limit(self) -> None:
        first, second = self.ask(b"1"), self.ask(b"2")
        self.inner.asked[0].reply(b"one")
        self.assertEqual(self.successResultOf(first).body, b"one")
        self.ask(b"3")
        self.assertEqual(self.messages, [b"1", b"2", b"3"])
        self.assertNoResult(second)

    def test_exception(self) -> None:
        """An event that cannot be sent takes no worker."""

        def fail(asked: AskedEvent) -> None:
            raise ZeroDivisionError

        self.inner.at_once = fail
        for _ in range(3):
            self.failureResultOf(self.ask(), ZeroDivisionError)
        self.assertEqual(0, self.backend.running)

    def test_follow(self) -> None:
        """The follower of a reply is handed on."""
        self.backend.ask(Event("server", b"x", identity()), follow := ReplyRecorder())
        self.assertEqual(follow, self.inner.asked[0].follow)

    def test_script_that_was_given_up_on(self) -> None:
        """It holds its worker until it ends; meanwhile the others have one less."""
        slow, _ = self.ask(b"1"), self.ask(b"2")
        ended = self.time_out(self.inner.asked[0])
        self.failureResultOf(slow, BackendTimeout)
        waiting = [self.ask(b"3"), self.ask(b"4")]
        self.assertEqual(self.messages, [b"1", b"2"])
        self.assertEqual(self.metrics.events_waiting_for_worker_now, 2)
        self.inner.asked[1].reply()
        self.assertEqual(self.messages, [b"1", b"2", b"3"])
        ended.callback(None)
        self.assertEqual(self.messages, [b"1", b"2", b"3", b"4"])
        for asked, answer in zip(self.inner.asked[2:], waiting, strict=True):
            asked.reply(b"ok")
            self.assertEqual(self.successResultOf(answer).body, b"ok")
        self.assertEqual(self.metrics.events_waiting_for_worker_now, 0)

    def occupied(self) -> None:
        for _ in range(2):
            self.failures = self.ask().addErrback(lambda failure: failure.trap(BackendTimeout))
            self.time_out(self.inner.asked[-1])

    def test_not_for_ever(self) -> None:
        """It certainly did not run, and the error names what to change."""
        self.occupied()
        answer = self.ask(b"late")
        self.clock.advance(59)
        self.assertNoResult(answer)
        self.clock.advance(1)
        problem = str(self.failureResultOf(answer, BackendBusy).value)
        self.assertIn("60 s (--waiting-timeout)", problem)
        self.assertIn("pm.max_children", problem)
        self.assertNotIn(b"late", self.messages)
        self.assertEqual(self.metrics.events_waiting_for_worker_now, 0)

    def test_longest_run(self) -> None:
        """A web server that never says that a script has ended."""
        self.occupied()
        for _ in range(10):
            self.clock.advance(60)
        self.ask(b"next")
        self.assertEqual(self.messages[-1], b"next")

    def test_cancelled(self) -> None:
        """While it waits, and with a worker."""
        self.occupied()
        answer = self.ask(b"late")
        answer.cancel()
        self.failureResultOf(answer, CancelledError)
        self.assertEqual(self.metrics.events_waiting_for_worker_now, 0)
        self.clock.advance(600)
        self.assertNotIn(b"late", self.messages)

    def test_cancelled_later(self) -> None:
        first, _ = self.ask(b"1"), self.ask(b"2")
        answer = self.ask(b"3")
        self.inner.asked[0].reply()
        self.successResultOf(first)
        answer.cancel()
        self.failureResultOf(answer, CancelledError)
        self.ask(b"4")
        self.assertEqual(self.messages, [b"1", b"2", b"3", b"4"])

    def test_withdrawn(self) -> None:
        self.occupied()
        answer, other = self.ask(), self.backend.ask(Event("server", b"x", identity("other")))
        self.backend.withdraw(identity().client_id)
        self.failureResultOf(answer, CancelledError)
        self.assertNoResult(other)

    def test_closed(self) -> None:
        self.occupied()
        answer = self.ask()
        self.backend.close()
        self.failureResultOf(answer, BackendBusy)
