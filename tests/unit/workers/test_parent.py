"""Tests for :mod:`phpgw.workers.parent`."""

from pathlib import Path
from typing import Any

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.fpm.endpoint import FpmEndpoint
from phpgw.bus.own_engine.manager import OwnEngine
from phpgw.observable import Observable
from phpgw.pools.interface import Pools
from phpgw.settings import Settings
from phpgw.snapshot import Snapshot
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


class FakeEngine(Service):
    """An engine that needs no process."""

    socket = Path("/run/engine.sock")
    stopped = False

    def stop_within(self, seconds: float) -> Deferred[None]:
        self.stopped = True
        return succeed(None)

    def observables(self) -> tuple[Observable, ...]:
        return OwnEngine(None, Path("redis-server")).observables()


class WorkersParentTestCase(SynchronousTestCase):
    """A parent of two workers, whose processes are the test's."""

    def setUp(self) -> None:
        self.reactor = WorkersReactor()
        self.public, self.private = FakeSockets(), FakeSockets()
        self.fpm = SharedFpm(self.reactor)
        self.engine = FakeEngine()
        self.pools = Pools()
        settings = Settings(php_url="http://localhost/ws.php", drain_timeout=8)
        self.parent = WorkersParent(
            self.reactor,
            settings,
            jobs=[attrs.evolve(JOB, number=number) for number in range(2)],
            public=self.public,  # type: ignore[arg-type]
            private=self.private,  # type: ignore[arg-type]
            fpm=self.fpm,
            engine=self.engine,  # type: ignore[arg-type]
            pools=self.pools,
            log_file=None,
        )
        self.parent.startService()

    @property
    def workers(self) -> list[FakeWorker]:
        return self.reactor.workers

    def all_ready(self) -> None:
        for worker in self.workers:
            worker.tells("ready")


class WorkersParentTests(WorkersParentTestCase):
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

    def test_engine(self) -> None:
        """All workers find each other through it."""
        for worker in self.workers:
            settings = JOB.from_json(worker.told[0]).settings()
            self.assertEqual("unix:/run/engine.sock", str(settings.bus))

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

    def test_readiness(self) -> None:
        """Each worker knows whether another one is ready, also one that has just started."""
        self.all_ready()

        def told() -> list[list[bool]]:
            return [
                [each["ready"] for each in worker.told if each["type"] == "others"]
                for worker in self.workers
            ]

        self.workers[0].tells("alive", ready=True)
        self.workers[1].tells("alive", ready=False)
        self.assertEqual([False, True], [each[-1] for each in told()])
        count = sum(map(len, told()))
        self.workers[0].tells("alive", ready=True)
        self.assertEqual(count, sum(map(len, told())))
        self.workers[0].end(1)
        self.reactor.advance(1)
        self.assertEqual(False, told()[1][-1])
        self.assertEqual([False], told()[2])

    def test_notes(self) -> None:
        """A note of one worker comes to all others; one that lasts, also to those that start."""
        self.all_ready()
        for note, lasts in (("a", True), ("b", False), ("a", True)):
            self.workers[0].tells("note", note={"about": note}, lasts=lasts)
        self.workers[1].end(1)
        self.reactor.advance(0.1)
        heard = [
            [each["note"]["about"] for each in worker.told if each["type"] == "note"]
            for worker in self.workers
        ]
        self.assertEqual([[], ["a", "b", "a"], ["a"]], heard)

    def test_tokens(self) -> None:
        """What one worker creates or ends is known to all, before it is told that this is done."""
        self.all_ready()
        first, second = self.workers
        made = {"of": "codes", "digest": "d", "value": "v", "seconds": 60, "limit": 16}
        first.tells("create_token", id=1, **made)
        (change,) = [each for each in second.told if each["type"] == "tokens"]
        self.assertEqual([["d", "v", 60]], change["added"])
        first.tells("tokens_known", id=change["id"])
        self.assertNotIn("token_done", first.kinds())
        second.tells("tokens_known", id=change["id"])
        self.assertEqual(("token_done", 1), (first.told[-1]["type"], first.told[-1]["id"]))
        second.end(1)
        self.reactor.advance(0.1)
        (change,) = [each for each in self.workers[2].told if each["type"] == "tokens"]
        ((digest, value, seconds),) = change["added"]
        self.assertEqual(("d", "v"), (digest, value))
        self.assertLess(seconds, 60)
        first.tells("remove_token", id=2, of="codes", digest="d")
        first.tells("tokens_known", id=first.told[-1]["id"])
        self.assertEqual((2, "v"), (first.told[-1]["id"], first.told[-1]["value"]))

    def test_watched(self) -> None:
        """Workers hear what the viewers of others want, and events come to those."""
        self.all_ready()
        first, second = self.workers
        first.tells("watch", wanted=[[1, {"user": "42"}]])
        watched = second.told[-1]
        self.assertEqual(("watched", [[1, {"user": "42"}]]), (watched["type"], watched["wanted"]))
        fields: dict[str, Any] = {"wish": 1, "events": ["{}"], "lost": 2, "size": 34}
        second.tells("events", to=watched["by"], **fields)
        sent = first.told[-1]
        self.assertEqual(fields, {name: sent[name] for name in fields})
        first.tells("events_read", to=sent["by"], size=34)
        self.assertEqual(("events_read", 34), (second.told[-1]["type"], second.told[-1]["size"]))
        first.end(1)
        ended = [each["wanted"] for each in second.told if each["type"] == "watched"]
        self.assertEqual([], ended[-1])

    def test_missing(self) -> None:
        """Workers hear which ones hang, or have ended; not of those that are replaced in order."""
        first, second = self.workers
        first.tells("ready")

        def told() -> list[Any]:
            return [each["workers"] for each in first.told if each["type"] == "missing"]

        first.tells("alive", ready=True)
        self.assertEqual([2], told()[-1])
        second.tells("ready")
        second.tells("alive", ready=True)
        self.assertEqual([], told()[-1])
        for _ in range(3):
            first.tells("alive", ready=True)
            self.reactor.advance(1)
        self.assertEqual([2], told()[-1])
        second.tells("alive", ready=True)
        self.assertEqual([], told()[-1])
        second.end(1)
        self.assertEqual([2], told()[-1])
        self.reactor.advance(0.1)
        self.workers[2].tells("ready")
        self.workers[2].tells("alive", ready=True)
        count = len(told())
        self.parent.replace_workers()
        self.workers[3].tells("ready")
        first.end()
        for worker in self.workers[2:]:
            worker.tells("alive", ready=True)
        self.assertEqual([], told()[-1])
        self.assertEqual(count, len(told()))

    def test_numbers(self) -> None:
        """A worker that asks gets the sum, with what the parent alone knows."""
        self.all_ready()
        self.workers[0].tells("survey", about="metrics")
        for worker in self.workers:
            question = worker.told[-1]
            self.assertEqual(("report", "metrics"), (question["type"], question["about"]))
            worker.tells("reported", about="metrics", id=question["id"], value=[])
        answer = self.workers[0].told[-1]
        self.assertEqual(("surveyed", "metrics"), (answer["type"], answer["about"]))
        samples = {each["name"]: each["samples"] for each in answer["value"]}
        self.assertEqual([["phpgw_workers_serving", {}, 2]], samples["phpgw_workers_serving"])

    def test_failures(self) -> None:
        """Those of all workers are in one list, newest first, also of one that has ended."""
        self.all_ready()
        old, new = ({"at": at, "problem": "x"} for at in (1, 2))
        self.workers[1].tells("reported", about="failures", id=None, value=[old])
        self.workers[1].end(1)
        self.workers[0].tells("survey", about="failures")
        question = self.workers[0].told[-1]
        self.workers[0].tells("reported", about="failures", id=question["id"], value=[new])
        self.assertEqual([new, old], self.workers[0].told[-1]["value"])

    def test_unknown_survey(self) -> None:
        """What a worker with newer code wants or tells is no error."""
        self.workers[0].tells("survey", about="news")
        self.workers[0].tells("reported", about="news", id=None, value={})

    def test_status(self) -> None:
        """systemd gets the sum of all workers, once all are ready."""
        notifications: list[str] = []
        self.patch(self.parent._notifier, "_send", lambda *lines: notifications.extend(lines))
        self.parent._notifier._await_readiness()
        self.all_ready()
        self.assertEqual([], notifications)
        for worker, count in zip(self.workers, (2, 3), strict=True):
            worker.tells("alive", ready=True)
            numbers = Snapshot({"clients_now": count}, {}, [], []).as_json()
            worker.tells("reported", about="snapshot", id=None, value=numbers)
        self.fpm.lead_to(Path("/1.sock"))
        self.assertIn("READY=1", notifications)
        self.assertIn(
            "STATUS=2 of 2 workers are ready; 5 clients are connected, PHP works on 0 requests, "
            "0 of 0 have failed",
            notifications,
        )

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
        self.assertEqual((True, True), (self.fpm.stopped, self.engine.stopped))
        self.assertEqual(["closed", "removed"], self.private.log)
        self.assertEqual([], self.reactor.getDelayedCalls())
