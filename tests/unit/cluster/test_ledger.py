"""Tests for :mod:`phpgw.cluster.ledger`: what the engine has, and when."""

import attrs

from phpgw.cluster.disconnect_record import decode_record
from phpgw.cluster.keys import ledger_key
from phpgw.hub.client import Client
from phpgw.relay import disconnects
from tests.support.memory_node import MemoryNode, MemoryNodesTestCase


class LedgerTests(MemoryNodesTestCase):
    def setUp(self) -> None:
        super().setUp()
        [self.node] = self.start(1)

    def records(self) -> dict[str, str | None]:
        """Return the clients without their node, and the users that are written down."""
        found = self.engine.keys.find(ledger_key(self.node.id)) or {}
        return {
            name.decode().partition(".")[2]: decode_record(name, record).user
            for name, record in found.items()
        }

    def test_connect_and_disconnect(self) -> None:
        """A record is written at once, and deleted once PHP was told."""
        client = self.node.connect("a", user="anna")
        self.assertEqual({"a": "anna"}, self.records())
        self.node.backend.at_once = lambda asked: None
        self.node.disconnect(client)
        self.assertEqual({"a": "anna"}, self.records())
        self.node.backend.asked[0].reply()
        self.assertEqual({}, self.records())

    def test_change(self) -> None:
        """The user, the state and the cookies are written soon after they have changed."""
        client, *others = (self.node.connect(name) for name in "abc")
        self.node.registry.bind(client, "anna")
        self.let_pass(0.5)
        self.assertEqual({"a": "anna", "b": None, "c": None}, self.records())
        published = self.counted_writes()
        self.let_pass(10)
        self.assertEqual([], published)
        for number in range(100):
            others[0].identity = attrs.evolve(others[0].identity, state=str(number))
        self.let_pass(0.5)
        self.assertEqual([1], published)

    def counted_writes(self) -> list[int]:
        """Return a list that gets the number of records of each write to the ledger."""
        counts: list[int] = []
        write = self.engine.keys.commands[b"HSET"]

        def count(key: bytes, *pairs: bytes) -> object:
            if key == ledger_key(self.node.id):
                counts.append(len(pairs) // 2)
            return write(key, *pairs)

        self.engine.keys.commands[b"HSET"] = count
        return counts

    def test_engine_away(self) -> None:
        """What has happened meanwhile is written when the engine is back, and nothing is twice."""
        gone, stays = self.node.connect("gone"), self.node.connect("stays")
        self.node.bus.lose()
        self.node.disconnect(gone)
        self.node.connect("new")
        self.node.registry.bind(stays, "anna")
        self.let_pass(60)
        self.assertEqual(["gone"], self.node.told())
        self.assertEqual({"gone": None, "stays": None}, self.records())
        self.node.bus.restore()
        self.let_pass(1)
        self.assertEqual({"stays": "anna", "new": None}, self.records())

    def test_all_is_lost(self) -> None:
        """The whole ledger is written again, a few records at a time."""
        for number in range(2500):
            self.node.connect(str(number))
        self.node.bus.lose()
        self.engine.keys.values.clear()
        counts = self.counted_writes()
        self.node.bus.restore()
        self.let_pass(1)
        self.assertEqual(2500, len(self.records()))
        self.assertEqual({100}, set(counts))

    def test_lost_again_while_it_is_written(self) -> None:
        for number in range(2500):
            self.node.connect(str(number))
        self.node.bus.lose()
        self.engine.keys.values.clear()
        self.node.bus.restore()
        self.clock.advance(0)
        self.clock.advance(0)
        self.node.bus.lose()
        self.engine.keys.values.clear()
        self.node.bus.restore()
        self.let_pass(1)
        self.assertEqual(2500, len(self.records()))

    def test_refused(self) -> None:
        """An engine without memory is asked until it writes."""
        self.engine.refusal = "OOM command not allowed"
        client = self.node.connect("a")
        self.let_pass(4)
        self.assertEqual({}, self.records())
        self.engine.refusal = ""
        self.let_pass(1)
        self.assertEqual({"a": None}, self.records())
        self.engine.refusal = "OOM command not allowed"
        self.node.disconnect(client)
        self.let_pass(2)
        self.engine.refusal = ""
        self.let_pass(1)
        self.assertEqual({}, self.records())
        self.assertEqual(["a"], self.node.told())

    def test_too_many_wait(self) -> None:
        """A disconnect that is dropped is owed no longer."""
        self.patch(disconnects, "_MAX_WAITING", 2)
        self.node.backend.at_once = lambda asked: None
        for name in "abc":
            self.node.disconnect(self.node.connect(name))
        self.assertEqual({"a": None, "b": None}, self.records())

    def test_event_id(self) -> None:
        """It is the same on each node, and another for each client; it does not tell the client."""
        other = MemoryNode(self.engine)
        client = self.node.connect("a")
        copy = Client(client.identity, client.connection)
        self.assertEqual(self.node.ledger.event_id(client), other.ledger.event_id(copy))
        self.assertNotEqual(
            self.node.ledger.event_id(client),
            self.node.ledger.event_id(self.node.connect("b")),
        )
        self.assertRegex(self.node.ledger.event_id(client), "^[0-9a-f]{16}$")

    def test_stop(self) -> None:
        self.node.connect("a")
        self.node.ledger.stopService()
        self.node.membership.stopService()
        self.assertEqual([], self.node.clock.getDelayedCalls())
