"""Tests for :mod:`phpgw.workers.shared_deaths`."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.cluster.membership import Membership
from phpgw.workers.shared_deaths import SharedDeaths
from tests.support.memory_bus import MemoryBus, MemoryEngine


class SharedDeathsTests(SynchronousTestCase):
    def setUp(self) -> None:
        clock: Any = Clock()
        self.told: list[tuple[str, str]] = []
        self.members = Membership(clock, MemoryBus(MemoryEngine(clock)), keeps_id=False)
        self.declared: dict[str, Deferred[None]] = {}
        self.deaths = SharedDeaths(self.tell)
        self.deaths.share(self.members, self.declare)

    def tell(self, kind: str, **fields: str) -> None:
        self.told.append((kind, fields["id"]))

    def declare(self, node_id: str) -> Deferred[None]:
        self.declared[node_id] = Deferred()
        return self.declared[node_id]

    def test_name(self) -> None:
        """The parent knows which node a worker is, also after it was taken for dead."""
        self.deaths.begin()
        before = self.members.node_id
        self.members.node_id = "new"
        for observer in self.members.observers:
            observer.renamed(before)
        self.assertEqual([("node", before), ("node", "new")], self.told)

    def test_ended(self) -> None:
        """The parent is told when all other nodes know of a death."""
        self.deaths.hear("dead")
        self.assertEqual([], self.told)
        self.declared["dead"].callback(None)
        self.assertEqual([("node_declared_dead", "dead")], self.told)
