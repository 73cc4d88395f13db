"""Tests for :mod:`phpgw.workers.parent_link`."""

import json
import os
import signal
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from phpgw.api.check import GatewayReport
from phpgw.backend.errors import BackendTimeout
from phpgw.cluster.membership import Membership
from phpgw.feed.subscription import EventFilter, Subscription
from phpgw.metrics import Metrics
from phpgw.process import parent_pipe
from phpgw.process.messages import encode_message
from phpgw.prometheus.figures import OwnFigures
from phpgw.relay.failures import FailureLog
from phpgw.settings import Settings
from phpgw.web.expiring_tokens import token_digest
from phpgw.web.forwarded import TrustedProxies
from phpgw.web.proxy_detection import ProxyDetector
from phpgw.workers import parent_link
from phpgw.workers.job import WorkerJob
from phpgw.workers.parent_link import ParentLink
from tests.support.event_reports import event_report
from tests.support.fake_viewer import FakeViewer
from tests.support.feed_fixture import FeedFixture
from tests.support.memory_bus import MemoryBus, MemoryEngine

_JOB = WorkerJob(
    number=1,
    count=2,
    texts={
        "php-url": [("http://localhost/ws.php", "on the command line")],
        "max-waiting": [("4", "on the command line")],
        "php-concurrency": [("6", "on the command line")],
    },
    endpoints=["tcp:8080"],
    log_path=None,
    log_descriptor=2,
)


class _Reactor(Clock):
    """A clock that also starts and stops.

    :ivar stops: how often it was stopped.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stops = 0
        self._starting: list[tuple[Any, tuple[Any, ...]]] = []

    def callWhenRunning(self, function: Any, *arguments: Any) -> None:  # noqa: N802
        self._starting.append((function, arguments))

    def callFromThread(self, function: Any) -> None:  # noqa: N802
        function()

    def stop(self) -> None:
        self.stops += 1

    def run(self) -> None:
        """Start, up to the first turn."""
        for function, arguments in self._starting:
            function(*arguments)
        self.advance(0)


class ParentLinkTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor: Any = _Reactor()
        self.transport = StringTransport()
        self.exits: list[int] = []
        self.patch(os, "_exit", self.exits.append)
        self.patch(parent_pipe, "StandardIO", self.connect)
        commands, self.parent_end = os.pipe()
        os.set_blocking(commands, False)
        self.addCleanup(os.close, commands)
        self.addCleanup(os.close, self.parent_end)
        self.patch(parent_link, "COMMANDS", commands)
        self.addCleanup(signal.signal, signal.SIGTERM, signal.getsignal(signal.SIGTERM))
        self.reloads: list[Deferred[None]] = []
        self.reopened: list[None] = []
        self.link = ParentLink(self.reactor, _JOB)
        self.link.make_signals(self.reactor, self.reload, lambda: self.reopened.append(None))
        self.members = Membership(
            self.reactor, MemoryBus(MemoryEngine(self.reactor)), keeps_id=False
        )
        self.declared: list[str] = []
        self.link.deaths.share(self.members, self.declare_dead)
        self.metrics = Metrics(clients_now=3)
        self.figures = self.link.share_figures(OwnFigures(self.metrics, ()))
        self.log = FailureLog(self.reactor.seconds)
        self.find_failures = self.link.share_failures(self.log)
        self.fixture = FeedFixture(self.reactor, groups_of=lambda _: [], has_bodies=False)
        self.feed = self.link.share_feed(self.fixture.feed)
        self.problem: str | None = None
        (self.check,) = self.link.share_readiness([lambda: self.problem])

    def connect(self, protocol: ParentLink, **_: Any) -> None:
        """Open the pipes to the parent."""
        protocol.makeConnection(self.transport)

    def reload(self) -> Deferred[None]:
        self.reloads.append(Deferred())
        return self.reloads[-1]

    def declare_dead(self, node_id: str) -> Deferred[None]:
        self.declared.append(node_id)
        done: Deferred[None] = Deferred()
        done.callback(None)
        return done

    def start(self) -> None:
        """Start the worker, and forget what it has told the parent by then."""
        self.link.startService()
        self.reactor.run()
        self.told()

    def say(self, kind: str, **fields: Any) -> None:
        """Say something as the parent."""
        self.link.dataReceived(encode_message(kind, **fields))

    def told(self) -> list[dict[str, Any]]:
        """Return what the parent has been told since the last call."""
        lines = self.transport.value().splitlines()
        self.transport.clear()
        return [json.loads(line) for line in lines]

    def kinds(self) -> list[str]:
        return [each["type"] for each in self.told()]

    def test_start(self) -> None:
        """The parent learns the node's id, that the worker is ready, and what it counts."""
        self.link.startService()
        self.assertEqual([], self.told())
        self.reactor.run()
        node, ready, alive, reported = self.told()
        self.assertEqual({"type": "node", "id": self.members.node_id}, node)
        self.assertEqual({"type": "ready"}, ready)
        self.assertEqual({"type": "alive", "ready": True}, alive)
        self.assertEqual(("reported", "snapshot"), (reported["type"], reported["about"]))
        self.assertEqual(3, reported["value"]["values"]["clients_now"])

    def test_first_messages(self) -> None:
        """What the parent said before the start is known before the worker is ready."""
        os.write(self.parent_end, encode_message("fpm", socket="/run/fpm"))
        os.write(self.parent_end, encode_message("others", ready=True))
        self.problem = "draining"
        self.link.startService()
        self.reactor.run()
        fpm = self.link.make_fpm(Settings(php_url="http://localhost/ws.php"), self.reactor)
        self.assertEqual(Path("/run/fpm"), fpm.socket)
        self.assertIsNone(self.check())

    def test_beats(self) -> None:
        """The parent hears each second whether the worker is ready, and what it counts."""
        self.start()
        self.problem = "draining"
        self.metrics.clients_now = 8
        self.reactor.advance(1)
        alive, reported = self.told()
        self.assertEqual({"type": "alive", "ready": False}, alive)
        self.assertEqual(8, reported["value"]["values"]["clients_now"])
        self.reactor.advance(0.5)
        self.assertEqual([], self.told())

    def test_failures(self) -> None:
        """The parent gets failures with the next beat, since the worker may be killed."""
        self.start()
        self.log.add("f1", event_report().event, Failure(BackendTimeout("too slow")))
        self.reactor.advance(1)
        reported = [each for each in self.told() if each.get("about") == "failures"]
        self.assertEqual(["f1"], [each["id"] for each in reported[0]["value"]])
        self.reactor.advance(1)
        self.assertNotIn("failures", [each.get("about") for each in self.told()])
        found: Any = self.find_failures()
        self.say("surveyed", about="failures", value=[{"id": "f2", "problem": "x", "at": 1}])
        self.assertEqual(["f2"], [each["id"] for each in self.successResultOf(found).records])

    def test_stop(self) -> None:
        """A worker that is told to stop says so, and stops once."""
        self.start()
        self.say("others", ready=True)
        self.problem = "draining"
        self.say("stop")
        self.say("stop")
        self.assertEqual(["stopping"], self.kinds())
        self.assertEqual(1, self.reactor.stops)
        self.assertEqual("draining", self.check())

    def test_signal(self) -> None:
        """SIGTERM stops a worker as its parent does."""
        self.start()
        os.kill(os.getpid(), signal.SIGTERM)
        self.assertEqual(["stopping"], self.kinds())
        self.assertEqual(1, self.reactor.stops)

    def test_reload(self) -> None:
        """The parent hears when a reload is over, also if it has failed."""
        self.start()
        for outcome in (None, ValueError("a broken file")):
            self.say("reload")
            self.assertEqual([], self.told())
            done = self.reloads.pop()
            done.callback(None) if outcome is None else done.errback(outcome)
            self.assertEqual(["reloaded"], self.kinds())

    def test_reopen_log(self) -> None:
        """The log file is opened again when the parent says so."""
        self.start()
        self.say("reopen_log")
        self.assertEqual([None], self.reopened)

    def test_fpm(self) -> None:
        """Requests go to the PHP-FPM that the parent names, and to none while there is none."""
        fpm = self.link.make_fpm(Settings(php_url="http://localhost/ws.php"), self.reactor)
        self.start()
        ready = fpm.when_ready()
        self.assertNoResult(ready)
        self.say("fpm", socket="/run/fpm")
        self.successResultOf(ready)
        self.assertEqual(Path("/run/fpm"), fpm.socket)
        self.say("fpm", socket=None)
        self.assertFalse(fpm.is_ready)

    def test_survey(self) -> None:
        """A worker answers what the parent asks, and asks for the numbers of all."""
        self.start()
        self.say("report", about="snapshot", id=7)
        self.say("report", about="news", id=8)
        (reported,) = self.told()
        self.assertEqual((7, "snapshot"), (reported["id"], reported["about"]))
        found = self.figures.snapshot()
        self.assertEqual([{"type": "survey", "about": "snapshot"}], self.told())
        self.say("surveyed", about="snapshot", value=reported["value"])
        self.assertEqual(3, self.successResultOf(found).values["clients_now"])

    def test_tokens(self) -> None:
        """Tokens of all workers are valid here until the parent ends them."""
        tokens = self.link.tokens.make(self.reactor.seconds, "codes", 60, 3)
        self.start()
        created = tokens.create("a")
        (asked,) = self.told()
        self.assertEqual("create_token", asked["type"])
        entry = [asked["digest"], "a", 60]
        self.say("tokens", of="codes", added=[entry], removed=[], id=5)
        self.assertEqual([{"type": "tokens_known", "id": 5}], self.told())
        self.say("token_done", id=asked["id"], value=None)
        digest = token_digest(self.successResultOf(created).encode())
        self.assertEqual("a", tokens.find(digest))
        self.say("tokens", of="codes", added=[], removed=[digest], id=None)
        self.assertIsNone(tokens.find(digest))

    def test_note(self) -> None:
        """What another worker has found out about a port is known here."""
        detector = ProxyDetector(TrustedProxies((), frozenset()))
        self.link.knowledge.share_proxied_ports(detector)
        self.start()
        self.say("note", note={"about": "proxied", "port": 8080})
        self.assertTrue(detector.is_proxied(8080))

    def test_ended_node(self) -> None:
        """The parent hears when the death of another worker is known."""
        self.start()
        self.say("node_ended", id="dead")
        self.assertEqual(["dead"], self.declared)
        self.assertEqual([{"type": "node_declared_dead", "id": "dead"}], self.told())

    def test_others(self) -> None:
        """A worker that is not ready passes for ready while another one is."""
        self.start()
        self.problem = "draining"
        for is_ready, expected in ((True, None), (False, "draining")):
            self.say("others", ready=is_ready)
            self.assertEqual(expected, self.check())

    def test_feed(self) -> None:
        """Viewers here see events of other workers, and hear which workers are missing."""
        self.start()
        viewer = FakeViewer()
        self.feed.subscribe(viewer, Subscription(events=EventFilter()))
        (watch,) = self.told()
        ((wish, _),) = watch["wanted"]
        event = json.dumps({"event": {"id": "there"}})
        self.say("events", by=2, wish=wish, events=[event], lost=0, size=50)
        self.assertEqual([{"type": "events_read", "to": 2, "size": 50}], self.told())
        self.say("missing", workers=[2])
        self.reactor.advance(0.2)
        seen = viewer.take()
        self.assertIn({"event": {"id": "there"}}, seen)
        self.assertIn([2], [each.get("missing") for each in seen])

    def test_watched(self) -> None:
        """Viewers at other workers see the events of this one, the last ones at its end."""
        self.start()
        self.say("watched", by=2, wanted=[(1, {})])
        (observer,) = self.fixture.observers._observers
        observer(event_report())
        written = self.link.report_last(None)
        told = self.told()
        self.assertEqual(["events"], [each["type"] for each in told if "wish" in each])
        reports = {each["about"] for each in told if each["type"] == "reported"}
        self.assertEqual({"snapshot", "metrics", "failures"}, reports)
        self.assertNoResult(written)
        self.reactor.advance(0.1)
        self.successResultOf(written)

    def test_read(self) -> None:
        """A worker that reads nothing is sent no more events, until it has read."""
        self.start()
        self.say("watched", by=2, wanted=[(1, {})])
        unread = 0
        for _ in range(100):
            size = self.sent_size()
            unread += size
            if not size:
                break
        self.assertEqual(0, self.sent_size())
        self.say("events_read", by=2, size=unread)
        self.assertGreater(self.sent_size(), 0)

    def sent_size(self) -> int:
        """Have a second with many events; return the size of those that the parent got."""
        (observer,) = self.fixture.observers._observers
        for _ in range(100):
            observer(event_report())
        self.reactor.pump([0.1] * 10)
        return sum(each["size"] for each in self.told() if each["type"] == "events")

    def test_unknown(self) -> None:
        """A message of a newer parent is ignored."""
        self.start()
        self.say("news", more=1)
        self.assertEqual(([], 0), (self.told(), self.reactor.stops))

    def test_no_parent(self) -> None:
        """A worker ends at once with its parent, but is not cut short if it stops."""
        self.start()
        self.link.connectionLost()
        self.assertEqual([137], self.exits)
        self.say("stop")
        self.link.connectionLost()
        self.assertEqual([137], self.exits)

    def test_report(self) -> None:
        """The gateway that the API describes is the whole one, not this worker."""
        own = GatewayReport(settings=_JOB.settings(), concurrency=3, machine="m")
        with mock.patch.object(os, "getppid", return_value=77):
            whole = self.link.share_report(own)
        self.assertEqual((77, 2, "m"), (whole.pid, whole.workers, whole.machine))
        self.assertEqual((2, 4), (own.settings.max_waiting, whole.settings.max_waiting))
        self.assertEqual(6, whole.concurrency)
