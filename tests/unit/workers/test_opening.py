"""Tests for :mod:`phpgw.workers.opening`."""

from typing import Any

from twisted.application.service import Service
from twisted.trial.unittest import SynchronousTestCase

from phpgw.settings import Settings
from phpgw.workers import opening
from phpgw.workers.opening import open_process
from phpgw.workers.parent import WorkersParent
from tests.support.fake_workers import WorkersReactor
from tests.support.sample_settings import given
from tests.unit.workers.test_parent import FakeEngine


class OpeningTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = WorkersReactor()
        self.rehearsed: list[Any] = []
        self.patch(opening, "rehearse", self.rehearsed.append)
        self.engine: Any = FakeEngine()
        self.patch(opening, "make_own_engine", lambda _: self.engine)
        self.patch(opening, "use_monotonic_time", lambda _: None)
        self.patch(opening, "GracefulSignals", lambda *_: Service())

    def open(self, **options: str) -> Any:
        texts = given(php_url="http://localhost/ws.php", listen="tcp:0", **options)
        return open_process(Settings.from_texts(texts), texts, self.reactor)

    def test_one_process(self) -> None:
        """Without workers, it is a gateway, as it was before there were any."""
        self.patch(opening, "open_gateway", lambda settings, reactor, log: (settings, log))
        settings, log = self.open()
        self.assertEqual((("tcp:0",), None), (settings.listen, log))
        self.assertEqual([], self.rehearsed)

    def test_workers(self) -> None:
        """One worker tries out its job, before any is started."""
        parent = self.open(workers="2")
        self.assertIsInstance(parent, WorkersParent)
        (job,) = self.rehearsed
        self.assertEqual((0, 2, ["tcp:0"]), (job.number, job.count, job.endpoints))
        self.assertEqual(3, job.settings().php_concurrency)
        self.assertEqual("unix:/nowhere/engine.sock", str(job.settings().bus))
        self.assertEqual([], self.reactor.workers)
        self.successResultOf(parent.stopService())
        self.assertTrue(self.engine.stopped)

    def test_engine_of_others(self) -> None:
        """With --bus, the workers are nodes there, like those of other machines."""
        parent = self.open(workers="2", bus="redis://localhost")
        self.assertEqual("redis://localhost:6379", str(self.rehearsed[0].settings().bus))
        self.successResultOf(parent.stopService())
        self.assertFalse(self.engine.stopped)
