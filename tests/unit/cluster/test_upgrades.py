"""Nodes that speak different versions of the frames between them."""

from functools import partial
from typing import Any

import msgpack
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from phpgw.cluster.channels import node_channel
from phpgw.cluster.frames import UNSUPPORTED, Answer, decode_frame
from phpgw.cluster.membership import Membership
from phpgw.hub.client import Client
from phpgw.hub.commander import Result
from tests.support.memory_bus import MemoryBus
from tests.support.memory_cluster import ClusterTestCase, MemoryNode
from tests.support.memory_scripts import add_scripts

# The versions that an old node speaks, and those that a new one does.
_OLD, _NEW = range(1, 2), range(1, 3)


class UpgradeTests(ClusterTestCase):
    """One old node, and two of the next version."""

    def setUp(self) -> None:
        super().setUp()
        add_scripts(self.engine)
        for node in self.nodes.values():
            node.members.startService()
        self.turn(3)
        self.clients = {name: self.connect(node) for name, node in self.nodes.items()}

    def make_members(self, name: str) -> Membership:
        return self.membership(_OLD if name == "a" else _NEW)

    def membership(self, spoken: range) -> Membership:
        bus = MemoryBus(self.engine)
        return Membership(self.clock, bus, keeps_id=True, spoken=spoken)

    def connect(self, node: MemoryNode) -> Client:
        client = node.connect("1", "g")
        self.turn()
        return client

    def let_old_leave(self) -> None:
        self.a.exchange.stopService()
        self.a.members.stopService()
        self.a.bus.lose()
        self.turn(3)

    def pushes(self, *names: str) -> list[Result]:
        """Push from each node to the group, and to the client of each node."""
        results = []
        for node in map(self.nodes.__getitem__, names):
            results.append(self.push("group", "g", at=node))
            results += [self.push("client", self.clients[each].id, at=node) for each in names]
        return results

    def versions(self) -> set[int]:
        """Return the versions of the frames since the last time."""
        versions = {msgpack.unpackb(frame)[0] for _, frame in self.engine.published}
        self.engine.published.clear()
        return versions

    def test_new_beside_old(self) -> None:
        """Nodes of two versions push to each other, with true results, in the older version."""
        self.assertEqual([Result(3), Result(1), Result(1), Result(1)] * 3, self.pushes(*"abc"))
        self.assertEqual({1}, self.versions())

    def test_last_old_one_has_left(self) -> None:
        """The others go on in the next version."""
        self.let_old_leave()
        self.versions()
        self.assertEqual([Result(2), Result(1), Result(1)] * 2, self.pushes(*"bc"))
        self.assertEqual({2}, self.versions())

    def test_old_one_comes_back(self) -> None:
        """Results are unknown until all know that it is there, and then true."""
        self.let_old_leave()
        back = MemoryNode(self.engine, self.clock, self.membership(_OLD))
        self.nodes["back"] = back
        back.members.startService()
        self.turn()
        self.clients["back"] = self.connect(back)
        for node in (self.b, back):
            result = self.push("group", "g", at=node)
            self.assertTrue(result.is_unknown, result)
            self.assertIn("version 2", result.error or "")
        self.turn(3)
        self.assertEqual(Result(3), self.push("group", "g", at=self.b))
        self.assertEqual(Result(3), self.push("group", "g", at=back))


class UnknownVersionTests(ClusterTestCase):
    def published(self, node: str) -> list[Any]:
        """Return the items that were published for a node."""
        frames = [
            frame for channel, frame in self.engine.published if channel == node_channel(node)
        ]
        return [item for frame in frames for item in decode_frame(frame).items]

    def test_question(self) -> None:
        """It is answered that the version is not known, and the log says whose it is."""
        items = [[0, 7, {"of": "another kind"}], [0, 0, "op"], [1, 8]]
        with capturedLogs() as events:
            self.engine.publish(node_channel("bbbb"), msgpack.packb([9, "cccc", items, "more"]))
            self.turn()
        self.assertEqual(
            [Answer(7, UNSUPPORTED, "version 9 of the frames")], self.published("cccc")
        )
        self.assertEqual([("cccc", 9)], [(each["sender"], each["version"]) for each in events])

    def test_nodes_without_a_common_version(self) -> None:
        """What they push is unknown, and never what the other one has not said."""
        rogue = self.nodes["c"]
        rogue.members.spoken, rogue.members.version = range(8, 10), 9
        client = self.b.connect("1", "g")
        there = rogue.connect("1", "h")
        self.turn()
        for node, target in ((rogue, client.id), (self.b, there.id)):
            result = self.push("client", target, at=node)
            self.assertTrue(result.is_unknown, result)
        self.assertTrue(self.push("group", "g", at=rogue).is_unknown)
        self.assertTrue(self.push("group", "h", at=self.b).is_unknown)

    def test_question_without_a_number(self) -> None:
        """If nothing of it can be read, it is unknown what has become of it."""
        c = self.nodes["c"]
        channel = node_channel("bbbb")
        for items in ("another layout", [["of", "items"]], [[0, 1, "op"], {}]):
            rogue = msgpack.packb([9, "cccc", items])
            publish = partial(self._publish_instead, rogue)
            running = c.exchange.ask_all(channel, "op", [], publish=publish)
            self.turn(0.5)
            answers = self.result(running, 0.6)
            self.assertEqual({}, answers.values)
            self.assertIn("node bbbb", answers.problem)

    def _publish_instead(self, rogue: bytes, channel: bytes, frame: bytes) -> Deferred[int]:
        return self.nodes["c"].bus.publish(channel, rogue)
