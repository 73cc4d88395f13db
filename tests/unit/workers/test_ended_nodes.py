"""Tests for :mod:`phpgw.workers.ended_nodes`, with the parent that has them."""

from tests.support.fake_workers import FakeWorker
from tests.unit.workers.test_parent import WorkersParentTestCase


class EndedNodesTests(WorkersParentTestCase):
    def heard(self, worker: FakeWorker) -> list[str]:
        return [each["id"] for each in worker.told if each["type"] == "node_ended"]

    def test_killed(self) -> None:
        """The others hear of it at once, and one that starts later, until one has seen to it."""
        self.all_ready()
        for worker, node in zip(self.workers, ("a", "b"), strict=True):
            worker.tells("node", id=node)
        self.workers[0].end(signal=9)
        self.assertEqual(["a"], self.heard(self.workers[1]))
        self.reactor.advance(0.1)
        self.assertEqual(["a"], self.heard(self.workers[2]))
        self.workers[1].tells("node_declared_dead", id="a")
        self.workers[2].tells("ready")
        self.workers[2].tells("node", id="c")
        self.workers[1].end(signal=9)
        self.assertEqual(["a", "b"], self.heard(self.workers[2]))
        self.reactor.advance(0.1)
        self.assertEqual(["b"], self.heard(self.workers[3]))

    def test_renamed(self) -> None:
        """The last name counts."""
        self.all_ready()
        for node in ("a", "b"):
            self.workers[0].tells("node", id=node)
        self.workers[0].end(signal=9)
        self.assertEqual(["b"], self.heard(self.workers[1]))

    def test_nameless(self) -> None:
        """A process that has not come so far has no node."""
        self.workers[0].end(1)
        self.assertEqual([], self.heard(self.workers[1]))
