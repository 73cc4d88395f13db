"""Tests for :mod:`phpgw.cluster.node_list`."""

from collections.abc import Sequence
from typing import Any

from phpgw.cluster.exchange import Exchange
from phpgw.cluster.node_list import ClusterNodeList
from phpgw.hub.nodes import NodeInfo
from tests.support.memory_node import MemoryNode, MemoryNodesTestCase


class NodeListTests(MemoryNodesTestCase):
    def start(self, count: int) -> list[MemoryNode]:
        """Start nodes that list each other."""
        nodes = [MemoryNode(self.engine) for _ in range(count)]
        self.nodes += nodes
        self.exchanges, self.lists = [], []
        for number, node in enumerate(nodes, 1):
            exchange = Exchange(node.clock, node.bus, node.membership)
            self.exchanges.append(exchange)
            self.lists.append(
                ClusterNodeList(
                    node.clock,
                    node.bus,
                    node.membership,
                    exchange,
                    node.metrics,
                    f"worker {number}",
                )
            )
            exchange.startService()
            node.start()
        self.let_pass(4)
        return nodes

    def list(self, index: int = 0) -> Sequence[NodeInfo]:
        """Return the list of a node."""
        asked = self.lists[index].nodes()
        self.let_pass(3)
        return self.successResultOf(asked)

    def test_all(self) -> None:
        """Each says how it is, in the order of their names."""
        nodes = self.start(3)
        for number, node in enumerate(nodes):
            node.metrics.clients_now = number
            node.metrics.messages_sent = 20 * number
        self.let_pass(2)
        found = self.list(1)
        self.assertEqual([node.id for node in nodes], [each.node_id for each in found])
        self.assertEqual([0, 1, 2], [each.clients for each in found])
        self.assertEqual([0.0, 10.0, 20.0], [each.rate for each in found])
        self.assertTrue(all(each.name.endswith(f"worker {n}") for n, each in enumerate(found, 1)))
        self.assertEqual({""}, {each.problem for each in found})
        ages: Any = [each.lease_age for each in found]
        self.assertTrue(all(0 <= age <= 2 for age in ages), ages)

    def test_stopped(self) -> None:
        """Of one that does not answer, the age of its lease tells more."""
        _, second = self.start(2)
        self.stopped.add(second)
        self.let_pass(3)
        [hung, own] = sorted(self.list(), key=lambda each: each.problem, reverse=True)
        self.assertEqual((second.id, None), (hung.node_id, hung.clients))
        self.assertIn("not answer", hung.problem)
        assert hung.lease_age is not None
        self.assertGreater(hung.lease_age, 3)
        self.assertEqual("", own.problem)

    def test_engine_away(self) -> None:
        """Without the engine, a node knows how it is itself, and what is wrong."""
        first, second = self.start(2)
        first.bus.lose("it is gone")
        found = {each.node_id: each for each in self.list()}
        self.assertEqual("it is gone", found[first.id].problem)
        self.assertEqual((0, None), (found[first.id].clients, found[first.id].lease_age))
        self.assertEqual("it is gone", found[second.id].problem)

    def test_not_understood(self) -> None:
        """An answer of another kind is told as that."""
        _, second = self.start(2)
        self.exchanges[1].handlers["describe"] = lambda sender, arguments: "fine"
        problems = {each.node_id: each.problem for each in self.list()}
        self.assertEqual("it answers what is not understood", problems[second.id])
