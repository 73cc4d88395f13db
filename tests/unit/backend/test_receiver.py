"""Tests for :mod:`phpgw.backend.receiver`."""

from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.errors import BackendBroken
from phpgw.backend.event import Event
from phpgw.backend.receiver import DeferredReply, send_by_asking
from phpgw.backend.reply import Head, Reply
from tests.support.fake_backend import AskedEvent, FakeBackend
from tests.support.fakes import identity
from tests.support.reply_recorder import ReplyRecorder

_EVENT = Event("server", b"x", identity())
_REPLY = Reply(Head(200), b"yes")


class Sent:
    """Notes that it is cancelled."""

    is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class DeferredReplyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.receiver = DeferredReply(None)
        self.receiver.sent = self.sent = Sent()

    def test_reply(self) -> None:
        self.receiver.replied(_REPLY)
        self.assertIs(_REPLY, self.successResultOf(self.receiver.reply))

    def test_failure(self) -> None:
        self.receiver.failed(Failure(BackendBroken("cut off")))
        self.failureResultOf(self.receiver.reply, BackendBroken)

    def test_cancelled(self) -> None:
        self.receiver.reply.cancel()
        self.assertTrue(self.sent.is_cancelled)
        self.failureResultOf(self.receiver.reply, CancelledError)

    def test_cancelled_later(self) -> None:
        """There is nothing left to cancel."""
        self.receiver.replied(_REPLY)
        self.receiver.reply.cancel()
        self.assertFalse(self.sent.is_cancelled)


class AskingTests(SynchronousTestCase):
    """The receiver gets what the Deferred of ``ask`` fires with."""

    def setUp(self) -> None:
        self.backend = FakeBackend()
        self.follow = ReplyRecorder()
        self.receiver = DeferredReply(self.follow)

    def send(self) -> None:
        self.receiver.sent = send_by_asking(self.backend, _EVENT, self.receiver)

    def test_reply(self) -> None:
        self.send()
        [asked] = self.backend.asked
        self.assertEqual((_EVENT, self.follow), (asked.event, asked.follow))
        asked.reply(b"yes")
        self.assertEqual(b"yes", self.successResultOf(self.receiver.reply).body)

    def test_failure(self) -> None:
        self.send()
        self.backend.asked[0].break_off()
        self.failureResultOf(self.receiver.reply, BackendBroken)

    def test_cancelled(self) -> None:
        self.send()
        self.receiver.sent.cancel()
        self.assertTrue(self.backend.asked[0].is_cancelled)
        self.failureResultOf(self.receiver.reply, CancelledError)

    def test_exception(self) -> None:
        def fail(asked: AskedEvent) -> None:
            raise ZeroDivisionError

        self.backend.at_once = fail
        self.send()
        self.failureResultOf(self.receiver.reply, ZeroDivisionError)
