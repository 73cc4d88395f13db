"""A worker's link to its parent: obeys it, and tells it that the worker lives."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, deferLater

from phpgw.api.check import GatewayReport
from phpgw.api.failures import Failures
from phpgw.backend.fpm.endpoint import FpmEndpoint
from phpgw.backend.upstream import total_concurrency
from phpgw.feed.feed import Feed
from phpgw.process.messages import COMMANDS, Message
from phpgw.process.parent_pipe import ParentPipe
from phpgw.prometheus.figures import OwnFigures
from phpgw.relay.failures import FailureLog
from phpgw.settings import Settings
from phpgw.workers.job import WorkerJob
from phpgw.workers.shared_deaths import SharedDeaths
from phpgw.workers.shared_failures import SharedFailures
from phpgw.workers.shared_feed import SharedFeed
from phpgw.workers.shared_figures import SNAPSHOT, SharedFigures
from phpgw.workers.shared_knowledge import SharedKnowledge
from phpgw.workers.shared_readiness import SharedReadiness
from phpgw.workers.shared_tokens import TokenLink
from phpgw.workers.slot import LOOK_SECONDS
from phpgw.workers.survey_link import SurveyLink

_MAX_READ = 65536
# Seconds, so that the reactor writes what it was given.
_WRITE_SECONDS = 0.01


class ParentLink(Service, ParentPipe):
    """A service in a worker that carries out what the parent says.

    Without a parent the process ends at once, as if it was killed with it. Its methods ``make_``
    and ``share_`` are for :class:`phpgw.process_role.ProcessRole`.

    :ivar knowledge: what the workers tell each other.
    :ivar deaths: which of them have ended.
    :ivar surveys: what all workers report.
    :ivar tokens: the tokens that are valid at all workers.
    """

    _feed: SharedFeed
    _failures: SharedFailures

    def __init__(self, reactor: Any, job: WorkerJob) -> None:
        self._reactor = reactor
        self._job = job
        self._reload: Callable[[], Any] = lambda: None
        self._reopen_log: Callable[[], None] = lambda: None
        self._fpm = FpmEndpoint(reactor)
        self._readiness = SharedReadiness()
        self.share_readiness = self._readiness.share
        self.knowledge = SharedKnowledge(self.tell)
        self.deaths = SharedDeaths(self.tell)
        self.surveys = SurveyLink(reactor, self.tell)
        self.tokens = TokenLink(reactor, self.tell)
        self._beating = LoopingCall(self._beat)
        self._beating.clock = reactor

    def make_fpm(self, settings: Settings, reactor: Any) -> FpmEndpoint:
        """Return what leads to the parent's PHP-FPM."""
        return self._fpm

    def make_signals(
        self, reactor: Any, reload: Callable[[], Any], reopen_log: Callable[[], None]
    ) -> "ParentLink":
        """Return this service, which calls what signals call elsewhere."""
        self._reload = reload
        self._reopen_log = reopen_log
        return self

    def share_figures(self, own: OwnFigures) -> SharedFigures:
        """Return the numbers of all workers."""
        return SharedFigures(own, self.surveys)

    def share_feed(self, own: Feed) -> SharedFeed:
        """Return the feed of all workers."""
        self._feed = SharedFeed(own, self.tell)
        return self._feed

    def share_failures(self, own: FailureLog) -> Failures:
        """Return what returns the failures of all workers."""
        self._failures = SharedFailures(own, self.surveys)
        return self._failures.find

    def share_report(self, own: GatewayReport) -> GatewayReport:
        """Return what the whole gateway is: its settings are not divided among workers."""
        whole = self._job.whole_settings()
        return attrs.evolve(
            own,
            settings=whole,
            concurrency=total_concurrency(whole),
            pid=os.getppid(),
            workers=self._job.count,
        )

    def startService(self) -> None:
        super().startService()
        self.open_pipes(self._reactor)
        self._reactor.callWhenRunning(self._read_first)
        # After the last part of the gateway has started.
        self._reactor.callWhenRunning(self._reactor.callLater, 0, self._begin)

    def report_last(self, outcome: object) -> Deferred[None]:
        """Tell the parent what this process has to report at its end.

        :returns: fires when that has been written.
        """
        self._feed.finish()
        self.surveys.report_all()
        return deferLater(self._reactor, _WRITE_SECONDS)

    def obey(self, message: Message) -> None:
        """Carry out what the parent says."""
        match message.get("type"):
            case "stop":
                self._stop()
            case "reload":
                self._reload().addBoth(lambda _: self.tell("reloaded"))
            case "reopen_log":
                self._reopen_log()
            case "fpm":
                socket = message["socket"]
                self._fpm.lead_to(None if socket is None else Path(socket))
            case "report":
                self.surveys.report(message["about"], message["id"])
            case "surveyed":
                self.surveys.surveyed(message)
            case "watched":
                self._feed.hear_watched(message)
            case "events":
                self._feed.hear_events(message)
            case "events_read":
                self._feed.hear_read(message)
            case "missing":
                self._feed.hear_missing(message)
            case "tokens":
                self.tokens.changed(message)
            case "token_done":
                self.tokens.done(message)
            case "note":
                self.knowledge.hear(message["note"])
            case "node_ended":
                self.deaths.hear(message["id"])
            case "others":
                self._readiness.is_other_ready = message["ready"]

    def _read_first(self) -> None:
        """Take note of what the parent has said so far, before the first request is read."""
        # The pipe does not block: StandardIO has seen to that.
        with suppress(BlockingIOError):
            while received := os.read(COMMANDS, _MAX_READ):
                self.dataReceived(received)

    def _begin(self) -> None:
        # In place of the reactor's own handler.
        signal.signal(signal.SIGTERM, lambda *_: self._reactor.callFromThread(self._stop))
        self.deaths.begin()
        self.tell("ready")
        self._beating.start(LOOK_SECONDS)

    def _beat(self) -> None:
        self.tell("alive", ready=self._readiness.is_own_ready())
        # If the worker is killed, what it knows is lost from here on.
        self.surveys.report(SNAPSHOT)
        self._failures.report_new()

    def _stop(self) -> None:
        if not self.is_stopping:
            self.is_stopping = True
            self._readiness.is_other_ready = False
            self.tell("stopping")
            self._reactor.stop()
