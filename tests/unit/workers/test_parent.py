"""Tests for :mod:`phpgw.workers.parent`."""

from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.fpm.endpoint import FpmEndpoint
from phpgw.settings import Settings
from phpgw.workers.parent import WorkersParent
from tests.support.fake_workers import FakeWorker, WorkersReactor
from tests.unit.workers.test_job import JOB


class FakeSockets:
    """Remembers what happens to the sockets."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def for_worker(self, number: int) -> dict[str, int]:
        return {}

    def close(self) -> None:
        self.log.append("closed")

    def remove_files(self) -> None:
        self.log.append("removed")


class SharedFpm(FpmEndpoint):
    """A PHP-FPM whose reload and stop the test ends."""

    def __init__(self, reactor: Any) -> None:
        super().__init__(reactor)
        self.reloading: Deferred[bool] = Deferred()
        self.stopped = False

    def reload(self) -> Deferred[bool]:
        return self.reloading

    def stop_within(self, seconds: float) -> Deferred[None]:
        self.stopped = True
        return succeed(None)


class WorkersParentTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = WorkersReactor()
        self.public, self.private = FakeSockets(), FakeSockets()
        self.fpm = SharedFpm(self.reactor)
        settings = Settings(php_url="http://localhost/ws.php", drain_timeout=8)
        self.parent = WorkersParent(
            self.reactor,
            settings,
            jobs=[attrs.evolve(JOB, number=number) for number in range(2)],
            public=self.public,  # type: ignore[arg-type]
            private=self.private,  # type: ignore[arg-type]
            fpm=self.fpm,
            log_file=None,
        )
        self.parent.startService()

    @property
    def workers(self) -> list[FakeWorker]:
        return self.reactor.workers

    def all_ready(self) -> None:
        for worker in self.workers:
            worker.tells("ready")

    def test_php_fpm(self) -> None:
        """All workers know where it is, also those that start later."""
        self.fpm.lead_to(Path("/1.sock"))
        self.workers[0].end(1)
        self.reactor.advance(0.1)
        for worker in self.workers[1:]:
            sockets = [each["socket"] for each in worker.told if each["type"] == "fpm"]
            self.assertEqual("/1.sock", sockets[-1])
        self.fpm.lead_to(None)
        self.assertIsNone(self.workers[2].told[-1]["socket"])

    def test_reload(self) -> None:
        """It is done when PHP-FPM and all workers have done their part."""
        self.all_ready()
        reloaded = self.parent.reload()
        self.workers[0].tells("reloaded")
        self.fpm.reloading.callback(True)
        self.assertNoResult(reloaded)
        self.workers[1].tells("reloaded")
        self.successResultOf(reloaded)

    def test_reload_without_an_answer(self) -> None:
        """It does not wait for a worker that hangs."""
        self.all_ready()
        reloaded = self.parent.reload()
        self.fpm.reloading.callback(True)
        self.workers[0].tells("reloaded")
        self.reactor.advance(5)
        self.successResultOf(reloaded)
        self.workers[1].tells("reloaded")

    def test_log(self) -> None:
        self.parent.reopen_log()
        self.assertEqual(["reopen_log"] * 2, [each.kinds()[-1] for each in self.workers])

    def test_replaced_one_after_another(self) -> None:
        """The next worker is replaced once the one before has ended."""
        self.all_ready()
        replaced = self.parent.replace_workers()
        self.assertIs(replaced, self.parent.replace_workers())
        self.assertEqual(3, len(self.workers))
        self.workers[2].tells("ready")
        self.assertEqual(3, len(self.workers))
        self.workers[0].end()
        self.workers[3].tells("ready")
        self.workers[1].end()
        self.successResultOf(replaced)
        self.assertEqual(4, len(self.workers))
        self.parent.replace_workers()
        self.assertEqual(5, len(self.workers))

    def test_not_replaced(self) -> None:
        """If a new worker fails, the other ones stay as they are."""
        self.all_ready()
        replaced = self.parent.replace_workers()
        self.workers[2].end(1)
        self.successResultOf(replaced)
        self.assertEqual(3, len(self.workers))

    def test_hang(self) -> None:
        """It looks after its workers once a second."""
        self.all_ready()
        for _ in range(10):
            self.workers[0].tells("alive")
            self.reactor.advance(1)
        self.assertEqual(([], [9]), (self.workers[0].signals, self.workers[1].signals))

    def test_stop(self) -> None:
        """Nobody waits in a socket, the API's file stays until the end, and PHP-FPM ends last."""
        self.all_ready()
        stopped = self.parent.stopService()
        self.assertEqual(["closed", "removed"], self.public.log)
        self.assertEqual(["closed"], self.private.log)
        for worker in self.workers:
            self.assertFalse(self.fpm.stopped)
            worker.end()
        self.successResultOf(stopped)
        self.assertTrue(self.fpm.stopped)
        self.assertEqual(["closed", "removed"], self.private.log)
        self.assertEqual([], self.reactor.getDelayedCalls())
