"""What becomes of messages to groups that have a history, with several nodes."""

from typing import Any

from phpgw.history.interface import HistoryPage, Position
from phpgw.history.rules import NO_HISTORY, HistoryRule
from phpgw.hub.commander import Result
from phpgw.hub.commands import Join, Send, Target
from tests.support.memory_cluster import ClusterTestCase, MemoryNode


def send(*groups: str, message: bytes = b"hello", rule: HistoryRule | None = None) -> Send:
    return Send(Target("group", groups), message, history=rule)


class KeptMessageTests(ClusterTestCase):
    def positions(self, result: Result) -> dict[str, int]:
        return {each.group: each.position.offset for each in result.positions}

    def run_command(self, command: Send, at: MemoryNode | None = None, seconds: float = 0) -> Any:
        return self.result((at or self.a).commander.push(command), seconds)

    def page(self, group: str, at: MemoryNode | None = None) -> HistoryPage:
        history = (at or self.a).history
        page: HistoryPage = self.result(history.after(group, self.start_of(group), 100))
        return page

    def start_of(self, group: str) -> Position:
        page: HistoryPage = self.result(self.a.history.last(group, 0))
        return Position(0, page.position.epoch)

    def test_positions(self) -> None:
        """All nodes count together; the clients of all nodes get the message, once."""
        clients = [(node, node.connect("1", "kept-1")) for node in self.nodes.values()]
        self.turn()
        for n, node in enumerate(self.nodes.values(), 1):
            result = self.run_command(send("kept-1"), node)
            self.assertEqual((3, None), (result.delivered, result.error))
            self.assertEqual({"kept-1": n}, self.positions(result))
        for node, client in clients:
            self.assertEqual([b"hello"] * 3, node.messages(client))
        epochs = {self.page("kept-1", node).position.epoch for node in self.nodes.values()}
        self.assertEqual(1, len(epochs))
        self.assertEqual(3, len(self.page("kept-1", self.b).entries))

    def test_nobody(self) -> None:
        """A message that is kept is delivered, though nobody is there."""
        result = self.run_command(send("kept-1"))
        self.assertEqual((0, None), (result.delivered, result.error))
        self.assertEqual({"kept-1": 1}, self.positions(result))
        self.assertEqual(1, self.a.metrics.pushes_delivered["group"])

    def test_nobody_and_a_node_cut_off(self) -> None:
        """Whoever is at a node that is cut off can get it from the history."""
        self.nodes["c"].bus.lose()
        result = self.run_command(send("kept-1"))
        self.assertEqual((0, False), (result.delivered, result.is_unknown))
        self.assertEqual({"kept-1": 1}, self.positions(result))

    def test_several_groups(self) -> None:
        """A client in two of them gets it once; each history has it."""
        client = self.b.connect("1", "kept-1", "kept-2")
        self.turn()
        result = self.run_command(send("kept-1", "other", "kept-2"))
        self.assertEqual(1, result.delivered)
        self.assertEqual({"kept-1": 1, "kept-2": 1}, self.positions(result))
        self.assertEqual([b"hello"], self.b.messages(client))

    def test_own_rule(self) -> None:
        """A message may have a rule of its own."""
        self.assertEqual({}, self.positions(self.run_command(send("kept-1", rule=NO_HISTORY))))
        result = self.run_command(send("x", rule=HistoryRule(5, 5.0)))
        self.assertEqual({"x": 1}, self.positions(result))

    def test_same_order(self) -> None:
        """The clients of all nodes get messages of all nodes in the order of the history."""
        clients = [(node, node.connect("1", "kept-1")) for node in self.nodes.values()]
        self.turn()
        results = []
        for n in range(30):
            node = self.nodes["abc"[n * 7 % 3]]
            results.append(node.commander.push(send("kept-1", message=b"%d" % n)))
            if n % 4 == 0:
                self.clock.advance(0)
        for each in results:
            self.assertEqual(3, self.result(each).delivered)
        kept = [each.message for each in self.page("kept-1").entries]
        self.assertEqual(30, len(kept))
        for node, client in clients:
            self.assertEqual(kept, node.messages(client))

    def test_order_in_list(self) -> None:
        """A client gets the messages of one list in their order, kept or not."""
        here = self.a.connect("1", "kept-1")
        there = self.b.connect("1", "kept-1")
        self.turn()
        commands = []
        for n in range(9):
            commands.append(send(("kept-1", "kept-1", "g")[n % 3], message=b"%d" % n))
        both = Target("client", (here.id, there.id))
        results = self.batch(Join(both, "g"), *commands, Send(both, b"last"))
        self.assertEqual([2] * 11, [each.delivered for each in results])
        expected = [b"%d" % n for n in range(9)] + [b"last"]
        self.assertEqual(expected, self.a.messages(here))
        self.assertEqual(expected, self.b.messages(there))

    def test_reply(self) -> None:
        """A reply with such a message does not wait for the results of other nodes."""
        sender = self.a.connect("1", "kept-1")
        there = self.b.connect("1", "kept-1")
        self.turn()
        self.b.bus.is_deaf = True
        commands = [send("kept-1"), Send(Target("sender"), b"to me")]
        results = self.result(self.a.commander.run_all(commands, sender))
        self.assertEqual([1, 1], [each.delivered for each in results])
        self.assertEqual([b"hello", b"to me"], self.a.messages(sender))
        self.assertEqual([], self.b.messages(there))
        self.assertEqual(1, len(self.page("kept-1").entries))

    def test_engine_away(self) -> None:
        """The clients of this node get it; that it is not known whether others do is told."""
        client = self.a.connect("1", "kept-1")
        self.turn()
        self.a.bus.lose()
        result = self.run_command(send("kept-1"))
        self.assertEqual((1, True, ()), (result.delivered, result.is_unknown, result.positions))
        reply = self.result(self.a.commander.run_all([send("kept-1")], client))
        self.assertEqual((1, True), (reply[0].delivered, reply[0].is_unknown))
        self.assertEqual([b"hello"] * 2, self.a.messages(client))

    def test_engine_goes_away(self) -> None:
        """The same if it is lost before it has replied."""
        client = self.a.connect("1", "kept-1")
        self.turn()
        self.a.bus.loses_replies = True
        pushing = self.a.commander.push(send("kept-1"))
        self.turn()
        self.a.bus.lose()
        result = self.result(pushing)
        self.assertEqual((1, True, ()), (result.delivered, result.is_unknown, result.positions))
        self.assertEqual([b"hello"], self.a.messages(client))
