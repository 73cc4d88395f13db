"""Tests for :mod:`phpgw.backend.fpm.backend`."""

from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from phpgw.backend.errors import BackendUnreachable
from phpgw.backend.event import Event
from phpgw.backend.fpm import upstream as own_upstream
from phpgw.backend.fpm.config import FpmConfig
from phpgw.backend.interface import IBackend
from phpgw.backend.receiver import Cancellable, DeferredReply, ReplyReceiver, send_by_asking
from phpgw.backend.reply import Follow, Head, Reply
from phpgw.backend.selection import make_upstream
from phpgw.metrics import Metrics
from phpgw.settings import Settings
from tests.support.fakes import identity
from tests.support.reply_recorder import ReplyRecorder


class StartingFpm:
    """A PHP-FPM of our own, as far as it is asked whether it is ready."""

    is_ready = False

    def __init__(self, reactor: Any, config: FpmConfig) -> None:
        self.config = config
        self.ready: list[Deferred[None]] = []
        FPMS.append(self)

    def observables(self) -> tuple[()]:
        return ()

    def when_ready(self) -> Deferred[None]:
        self.ready.append(Deferred())
        return self.ready[-1]


FPMS: list[StartingFpm] = []


@implementer(IBackend)
class RecordingBackend:
    """Answers at once, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Event, Follow | None]] = []
        self.withdrawn: list[str] = []

    def ask(self, event: Event, follow: Follow | None = None) -> Deferred[Reply]:
        self.asked.append((event, follow))
        return succeed(Reply(Head(200)))

    def send(self, event: Event, receiver: ReplyReceiver) -> Cancellable:
        return send_by_asking(self, event, receiver)

    def count_connections(self) -> dict[str, int]:
        return {}

    def withdraw(self, client_id: str) -> None:
        self.withdrawn.append(client_id)

    def probe(self) -> Deferred[None]:
        return succeed(None)

    def close(self) -> Deferred[None]:
        return succeed(None)


class OwnFpmTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        FPMS.clear()
        self.reactor = MemoryReactorClock()
        self.behind = RecordingBackend()
        self.patch(own_upstream, "OwnFpm", StartingFpm)
        self.patch(FpmConfig, "check", lambda config: None)
        self.patch(own_upstream, "make_script_backend", lambda *_: self.behind)
        script = Path(self.mktemp()).absolute()
        script.touch()
        self.settings = Settings(
            php_script=str(script), php_fpm_binary=Path("/bin/true"), php_timeout=10, php_max_run=90
        )
        self.backend = make_upstream(self.settings, self.reactor, Metrics()).backend
        self.event = Event("server", b"hi", identity())


class OwnFpmBackendTests(OwnFpmTestCase):
    def test_asked_once_it_is_ready(self) -> None:
        follower = ReplyRecorder()
        asked = self.backend.ask(self.event, follower)
        self.assertEqual([], self.behind.asked)
        FPMS[0].ready[0].callback(None)
        self.successResultOf(asked)
        self.assertEqual([(self.event, follower)], self.behind.asked)
        self.assertEqual([], self.reactor.getDelayedCalls())

    def test_asked_at_once(self) -> None:
        FPMS[0].is_ready = True
        follower = ReplyRecorder()
        self.successResultOf(self.backend.ask(self.event, follower))
        self.assertEqual([(self.event, follower)], self.behind.asked)

    def test_sent(self) -> None:
        """A receiver gets the outcome, whether it is ready or not."""
        for is_ready in (False, True):
            FPMS[0].is_ready = is_ready
            receiver = DeferredReply(ReplyRecorder())
            receiver.sent = self.backend.send(self.event, receiver)
            if not is_ready:
                self.assertEqual([], self.behind.asked)
                FPMS[0].ready[0].callback(None)
            self.successResultOf(receiver.reply)
            self.assertEqual((self.event, receiver.follow), self.behind.asked[-1])

    def test_withdrawn_before_it_is_ready(self) -> None:
        gone = self.backend.ask(self.event)
        stays = self.backend.ask(Event("server", b"hi", identity("other")))
        self.backend.withdraw(self.event.identity.client_id)
        self.failureResultOf(gone, CancelledError)
        for ready in FPMS[0].ready:
            ready.callback(None)
        self.successResultOf(stays)
        self.assertEqual(["other"], [e.identity.client_id for e, _ in self.behind.asked])

    def test_withdrawn_later(self) -> None:
        """Whether it has been handed over yet, the one behind knows."""
        self.backend.withdraw("a")
        self.assertEqual(["a"], self.behind.withdrawn)

    def test_not_ready_in_time(self) -> None:
        asked = self.backend.ask(self.event)
        self.reactor.advance(10)
        self.failureResultOf(asked, BackendUnreachable)
