"""Tests for :mod:`phpgw.workers.main`."""

import json
import os
import signal
from pathlib import Path
from typing import Any
from unittest import mock

import attrs
import twisted.internet
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import LogLevel, globalLogBeginner
from twisted.trial.unittest import SynchronousTestCase

from phpgw import service
from phpgw.metrics import Metrics
from phpgw.process.messages import Message
from phpgw.process_role import ProcessRole
from phpgw.prometheus.figures import OwnFigures
from phpgw.settings import Settings
from phpgw.workers import main as module
from phpgw.workers.job import WorkerJob
from phpgw.workers.parent_link import ParentLink
from tests.support.feed_fixture import FeedFixture


class _Reactor(Clock):
    """A clock that notes what is done before it stops.

    :ivar is_run: whether it was run.
    :ivar stopping: what is called before it stops.
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_run = False
        self.stopping: list[Any] = []

    def addSystemEventTrigger(self, phase: str, event: str, function: Any) -> None:  # noqa: N802
        assert (phase, event) == ("before", "shutdown")
        self.stopping.append(function)

    def run(self) -> None:
        self.is_run = True


class _Gateway(MultiService):
    """A gateway that stops when it is told so.

    :ivar notes: what was done to it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []
        self.stopped: Deferred[None] = Deferred()

    def privilegedStartService(self) -> None:
        self.notes.append("privileged")

    def startService(self) -> None:
        self.notes.append("start")

    def stopService(self) -> Deferred[None]:
        self.notes.append("stop")
        return self.stopped


class MainTests(SynchronousTestCase):
    def setUp(self) -> None:
        for number in module._PARENT_SIGNALS:
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.reactor: Any = _Reactor()
        # There is none before the first use of it.
        patched = mock.patch.object(twisted.internet, "reactor", self.reactor, create=True)
        patched.start()
        self.addCleanup(patched.stop)
        self.transport = StringTransport()
        self.gateway = _Gateway()
        self.roles: list[ProcessRole] = []
        self.settings: list[Settings] = []
        self.logs: list[Any] = []
        self.patch(service, "open_gateway", self.open_gateway)
        self.patch(globalLogBeginner, "beginLoggingTo", self.logs.extend)
        self.patch(module, "die_with_parent", lambda: None)
        self.patch(module, "read_first_message", self.read_first_message)
        self.reports, write_end = os.pipe()
        self.addCleanup(os.close, self.reports)
        self.addCleanup(os.close, write_end)
        self.patch(module, "REPORTS", write_end)
        self.job = WorkerJob(
            number=1,
            count=2,
            texts={
                "php-url": [("http://localhost/ws.php", "on the command line")],
                "max-waiting": [("4", "on the command line")],
            },
            endpoints=["tcp:8080"],
            log_path=None,
            log_descriptor=2,
        )

    def read_first_message(self, name: str) -> Message:
        message: Message = json.loads(json.dumps(attrs.asdict(self.job)))
        return {**message, "sockets": {"tcp:8080": 9}}

    def open_gateway(
        self, settings: Settings, reactor: Any, log_file: Any, role: ProcessRole
    ) -> _Gateway:
        self.settings.append(settings)
        self.roles.append(role)
        link = role.make_signals(reactor, lambda: None, lambda: None)
        assert isinstance(link, ParentLink)
        link.makeConnection(self.transport)
        role.share_figures(OwnFigures(Metrics(clients_now=3), ()))
        role.share_feed(FeedFixture(reactor).feed)
        return self.gateway

    def test_serves(self) -> None:
        """A worker serves its share on the sockets of the parent, and logs as one of several."""
        module.main()
        (role,) = self.roles
        self.assertEqual(("worker 2", {"tcp:8080": 9}), (role.part, role.opened))
        self.assertEqual([2], [each.max_waiting for each in self.settings])
        self.assertEqual(["privileged", "start"], self.gateway.notes)
        self.assertTrue(self.reactor.is_run)
        self.assertEqual(1, len(self.logs))

    def test_log_file(self) -> None:
        """A worker logs to the file that the gateway logs to."""
        path = self.mktemp()
        self.job = attrs.evolve(self.job, log_path=path)
        module.main()
        (observer,) = self.logs
        event = {"log_format": "hello", "log_time": 0.0, "log_namespace": "x"}
        observer({**event, "log_level": LogLevel.info})
        self.assertIn("hello", Path(path).read_text())

    def test_stops(self) -> None:
        """The parent gets the last numbers once the gateway has stopped."""
        module.main()
        (stop,) = self.reactor.stopping
        stopped = stop()
        self.assertEqual(b"", self.transport.value())
        self.gateway.stopped.callback(None)
        told = [json.loads(line) for line in self.transport.value().splitlines()]
        self.assertEqual(["snapshot", "metrics"], [each["about"] for each in told])
        self.assertNoResult(stopped)
        self.reactor.advance(0.1)
        self.successResultOf(stopped)

    def test_signals(self) -> None:
        """A terminal's signals are for the parent, which tells its workers."""
        module.main()
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            os.kill(os.getpid(), number)
        self.assertEqual(["privileged", "start"], self.gateway.notes)

    def test_invalid_option(self) -> None:
        """The parent hears why a worker does not start."""
        self.job = attrs.evolve(self.job, texts={"php-url": [("nonsense", "in a file")]})
        error = self.assertRaises(SystemExit, module.main)
        self.assertEqual(1, error.code)
        failed = json.loads(os.read(self.reports, 1000))
        self.assertEqual("failed", failed["type"])
        self.assertIn("php-url", failed["reason"])
