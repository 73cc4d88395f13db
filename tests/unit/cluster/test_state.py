"""The metrics of a node among others."""

from phpgw.cluster.exchange import Exchange
from phpgw.cluster.state import ClusterState, observe_cluster
from tests.support.memory_node import MemoryNode, MemoryNodesTestCase


class ClusterStateTests(MemoryNodesTestCase):
    def observe(self, node: MemoryNode) -> dict[str, float]:
        exchange = Exchange(node.clock, node.bus, node.membership)
        observables = observe_cluster(self.states[node], node.membership, exchange)
        return {each.name: number for each in observables for number in each.observe().values()}

    def start(self, count: int) -> list[MemoryNode]:
        nodes = [MemoryNode(self.engine) for _ in range(count)]
        self.states = {each: ClusterState(each.membership, each.metrics) for each in nodes}
        self.nodes += nodes
        return super().start(0)

    def test_nodes(self) -> None:
        """Each node knows all of them, and forgets one that has died after its lease."""
        a, b, c = self.start(3)
        self.assertEqual([3, 3, 3], [each.metrics.nodes_now for each in (a, b, c)])
        self.stopped.add(c)
        self.let_pass(14)
        self.assertEqual([2, 2], [each.metrics.nodes_now for each in (a, b)])

    def test_disconnects_of_a_node_that_has_died(self) -> None:
        """They are owed until PHP was told of them, and counted by the nodes that tell it."""
        a, b, c = self.start(3)
        for name in ("one", "two", "three"):
            c.connect(name)
        self.let_pass(1)
        self.stopped.add(c)
        self.let_pass(16)
        self.assertEqual(3, a.metrics.disconnects_adopted + b.metrics.disconnects_adopted)
        self.assertEqual(0, self.observe(a)["nodes_untold"])

    def test_disconnects_that_wait(self) -> None:
        """A node whose PHP does not reply says that there is something to tell."""
        a, c = self.start(2)
        a.backend.at_once = lambda asked: None
        for number in range(300):
            c.connect(str(number))
        self.let_pass(1)
        self.stopped.add(c)
        self.let_pass(16)
        self.assertEqual(1, self.observe(a)["nodes_untold"])

    def test_fencing(self) -> None:
        """A node that was stopped for too long counts that it was declared dead."""
        a, b = self.start(2)
        self.stopped.add(b)
        self.let_pass(14)
        self.resume(b, 14)
        self.let_pass(4)
        self.assertEqual((0, 1), tuple(self.observe(each)["node_fencings"] for each in (a, b)))
