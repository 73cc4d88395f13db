"""Tests for :mod:`phpgw.workers.slot`."""

import signal

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from phpgw.process.messages import Message
from phpgw.workers.slot import WorkerSlot
from phpgw.workers.worker_process import WorkerProcess
from tests.support.fake_workers import FakeWorker, WorkersReactor
from tests.unit.workers.test_job import JOB


class SlotTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = WorkersReactor()
        self.started: list[WorkerProcess] = []
        self.received: list[Message] = []
        self.ended: list[WorkerProcess] = []
        self.slot = WorkerSlot(
            self.reactor,
            1,
            make_job=lambda: JOB,
            sockets={"tcp:8080": 33, "unix:/x": 34},
            started=self.started.append,
            received=lambda slot, process, message: self.received.append(message),
            ended=self.ended.append,
            drain_seconds=8,
        )

    @property
    def latest(self) -> FakeWorker:
        return self.reactor.workers[-1]

    @property
    def pid(self) -> int | None:
        assert self.slot.current is not None
        return self.slot.current.pid

    def run_one(self) -> FakeWorker:
        """Start a process, and return it once it is ready."""
        ready = self.slot.start()
        self.latest.tells("ready")
        self.assertTrue(self.successResultOf(ready))
        return self.latest


class StartTests(SlotTestCase):
    def test_job(self) -> None:
        """A process gets its job first, and its sockets behind the two pipes."""
        worker = self.run_one()
        self.assertEqual({0: 0, 1: 1, 2: 2, 3: "w", 4: "r", 5: 33, 6: 34}, worker.descriptors)
        job = worker.told[0]
        self.assertEqual(("job", {"tcp:8080": 5, "unix:/x": 6}), (job["type"], job["sockets"]))
        self.assertEqual(JOB.settings(), JOB.from_json(job).settings())
        self.assertEqual(1, len(self.started))
        self.assertEqual(1000, self.pid)

    def test_other_messages(self) -> None:
        """They are passed on; the state is that of the process that serves."""
        ready = self.slot.start()
        self.assertNoResult(self.slot.ready)
        self.latest.tells("ready")
        self.successResultOf(ready)
        self.successResultOf(self.slot.ready)
        self.latest.tells("reloaded")
        self.assertEqual([{"type": "reloaded"}], self.received)
        self.latest.tells("alive", ready=True)
        self.assertTrue(self.slot.state["ready"])
        self.latest.end()
        self.assertEqual({}, self.slot.state)
        self.assertEqual(self.started, self.ended)

    def test_restarted(self) -> None:
        """A process that ends is started again, each time after twice as long, up to 10 s."""
        self.run_one().end(signal=signal.SIGSEGV)
        for delay in (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10):
            count = len(self.reactor.workers)
            self.reactor.advance(delay * 0.9)
            self.assertEqual(count, len(self.reactor.workers))
            self.reactor.advance(delay * 0.11)
            self.assertEqual(count + 1, len(self.reactor.workers))
            self.latest.end(1)
        self.assertEqual(10, self.slot.restarts)

    def test_stable(self) -> None:
        """One that has served for a while is started again at once."""
        for _ in range(3):
            self.run_one()
            self.reactor.advance(30)
            self.latest.end()
            self.reactor.advance(0.1)
        self.assertEqual(4, len(self.reactor.workers))

    def test_cannot_be_started(self) -> None:
        self.reactor.spawn_error = OSError("no memory")
        with capturedLogs() as logs:
            self.assertFalse(self.successResultOf(self.slot.start()))
        self.assertIn("no memory", formatEvent(logs[-1]))
        self.reactor.spawn_error = None
        self.reactor.advance(0.1)
        self.latest.tells("ready")
        self.assertIsNotNone(self.slot.current)

    def test_reason(self) -> None:
        """The log has the reason why a worker does not start."""
        with capturedLogs() as logs:
            ready = self.slot.start()
            self.latest.tells("failed", reason="--listen: expected x")
            self.latest.end(1)
        self.assertFalse(self.successResultOf(ready))
        self.assertEqual("Worker 2: --listen: expected x", formatEvent(logs[0]))

    def test_told_at_its_end(self) -> None:
        """A message to a process that has closed its pipes is lost, and no error."""
        worker = self.run_one()
        worker.is_closed = True
        self.slot.tell("reload")
        worker.end(1)
        self.reactor.advance(0.1)
        self.assertEqual(2, len(self.reactor.workers))

    def test_no_messages(self) -> None:
        """A process that sends something else is killed, and started again."""
        self.run_one().tells_bytes(b"?\n")
        self.assertEqual([signal.SIGKILL], self.latest.signals)
        self.assertIsNone(self.slot.current)


class HangTests(SlotTestCase):
    def look(self, times: int) -> None:
        for _ in range(times):
            self.slot.look()

    def test_silent(self) -> None:
        """A process that has been silent for ten looks in a row is killed."""
        worker = self.run_one()
        for _ in range(3):
            self.look(9)
            worker.tells("alive")
        self.assertEqual([], worker.signals)
        self.look(10)
        self.assertEqual([signal.SIGKILL], worker.signals)
        self.reactor.advance(0.1)
        self.assertEqual(2, len(self.reactor.workers))

    def test_start(self) -> None:
        """One that starts may take longer."""
        self.slot.start()
        self.look(59)
        self.assertEqual([], self.latest.signals)
        self.look(1)
        self.assertEqual([signal.SIGKILL], self.latest.signals)


class ReplaceTests(SlotTestCase):
    def test_replaced(self) -> None:
        """The old process is told to stop once the new one is ready; then its end is awaited."""
        old = self.run_one()
        replaced = self.slot.replace()
        self.assertNotIn("stop", old.kinds())
        self.latest.tells("ready")
        self.assertIn("stop", old.kinds())
        old.tells("stopping")
        self.assertNoResult(replaced)
        old.end()
        self.assertTrue(self.successResultOf(replaced))
        self.assertEqual((2, 1001), (len(self.reactor.workers), self.pid))
        self.assertEqual(0, self.slot.restarts)

    def test_not_replaced(self) -> None:
        """If the new process ends, the old one goes on."""
        old = self.run_one()
        replaced = self.slot.replace()
        self.latest.end(1)
        self.assertFalse(self.successResultOf(replaced))
        self.reactor.advance(100)
        self.assertEqual(2, len(self.reactor.workers))
        self.assertNotIn("stop", old.kinds())
        self.assertIsNotNone(self.slot.current)

    def test_old_one_ends_first(self) -> None:
        old = self.run_one()
        replaced = self.slot.replace()
        old.end(1)
        self.latest.tells("ready")
        self.assertTrue(self.successResultOf(replaced))
        self.reactor.advance(100)
        self.assertEqual(2, len(self.reactor.workers))

    def test_stops_by_itself(self) -> None:
        """Another process starts while it drains."""
        old = self.run_one()
        old.tells("stopping")
        self.assertEqual(2, len(self.reactor.workers))
        old.end()
        self.reactor.advance(100)
        self.assertEqual(2, len(self.reactor.workers))


class StopTests(SlotTestCase):
    def test_all_processes(self) -> None:
        """All are told, and the slot has stopped once they have ended; none is started again."""
        old = self.run_one()
        replaced = self.slot.replace()
        stopped = self.slot.stop()
        self.assertFalse(self.successResultOf(replaced))
        self.assertEqual(["stop"] * 2, [each.kinds()[-1] for each in (old, self.latest)])
        old.end()
        self.assertNoResult(stopped)
        self.latest.end()
        self.successResultOf(stopped)
        self.assertFalse(self.successResultOf(self.slot.start()))
        self.assertEqual([], self.reactor.getDelayedCalls())

    def test_late(self) -> None:
        """What does not end is killed."""
        worker = self.run_one()
        stopped = self.slot.stop()
        self.reactor.advance(8)
        self.assertEqual([signal.SIGKILL], worker.signals)
        self.successResultOf(stopped)

    def test_before_a_restart(self) -> None:
        self.run_one().end()
        self.successResultOf(self.slot.stop())
        self.assertEqual([], self.reactor.getDelayedCalls())
