"""Tests for :mod:`phpgw.cluster.adoption`: nodes that die, and those that take their place."""

from twisted.logger import LogLevel, capturedLogs

from phpgw.cluster.keys import adopted_key, ledger_key
from tests.support.fake_backend import AskedEvent
from tests.support.fakes import handshake
from tests.support.memory_node import MemoryNode, MemoryNodesTestCase


class AdoptionTests(MemoryNodesTestCase):
    def assert_no_records(self) -> None:
        """The engine keeps nothing of what PHP was told."""
        left = {
            key
            for key in self.engine.keys.values
            if key not in (b"nodes", b"dead", b"connections", b"versions")
        }
        self.assertEqual(set(), left)

    def test_event(self) -> None:
        """PHP is told what it would have been told by the client's own node."""
        first, second = self.start(2)
        seen = handshake(headers=((b"Cookie", b"a=\xff"),), query=b"x=1", peer_host="192.0.2.7")
        client = first.connect("a", user="anna", state="s", handshake=seen)
        self.stopped.add(first)
        self.let_pass(14)
        [asked] = second.backend.asked
        event = asked.event
        self.assertEqual(
            ("disconnect", b"", 1006, client.id, "anna", "s", seen),
            (
                *(event.type, event.message, event.code, event.identity.client_id),
                *(event.identity.user, event.identity.state, event.identity.handshake),
            ),
        )
        self.assertEqual(event.id, first.ledger.event_id(client))
        self.assert_no_records()

    def test_each_once(self) -> None:
        """All survivors take part, and PHP is told of each client by one of them."""
        first, second, third = self.start(3)
        names = [f"{number:04}" for number in range(1000)]
        for name in names:
            first.connect(name)
        second.connect("stays")
        self.stopped.add(first)
        self.let_pass(16)
        self.assertEqual(names, self.told())
        adopted = [node.metrics.disconnects_adopted for node in self.nodes]
        self.assertEqual((0, 1000), (adopted[0], sum(adopted)))
        self.assertGreater(len(second.told()), 200)
        self.assertGreater(len(third.told()), 200)
        self.assertEqual(1, len(self.engine.keys.find(ledger_key(second.id))))
        self.assertIsNone(self.engine.keys.find(b"orphans"))

    def test_in_the_middle(self) -> None:
        """A node that dies while it tells PHP: the others tell of those that are left."""
        first, _, _ = self.start(3)
        clients = [first.connect(f"{number:04}") for number in range(300)]
        for client in clients[:200]:
            first.disconnect(client)
        self.settle()
        self.assertEqual(200, len(first.told()))
        self.stopped.add(first)
        self.let_pass(14)
        self.assertEqual(sorted(client.id.partition(".")[2] for client in clients), self.told())
        self.assert_no_records()

    def test_all_die(self) -> None:
        """The next node that starts tells PHP, after the time of a lease."""
        first, second = self.start(2)
        for node, name in ((first, "a"), (second, "b")):
            node.connect(name)
        self.let_pass(1)
        self.stopped |= {first, second}
        self.let_pass(60)
        new = MemoryNode(self.engine)
        self.nodes.append(new)
        new.start()
        self.let_pass(14)
        self.assertEqual(["a", "b"], sorted(new.told()))
        self.assert_no_records()

    def test_survivor_dies(self) -> None:
        """What it has adopted is adopted in turn."""
        first, second, third = self.start(3)
        for number in range(10):
            first.connect(str(number))
        for node in (second, third):
            node.backend.at_once = lambda asked: None
        self.stopped.add(first)
        self.let_pass(14)
        adopter, other = (second, third) if second.told() else (third, second)
        self.assertEqual(2, len(adopter.told()))
        for asked in adopter.backend.asked[:2]:
            asked.reply()
        self.settle()
        told = adopter.told()[:2]
        self.stopped.add(adopter)
        other.backend.at_once = AskedEvent.reply
        self.let_pass(16)
        self.assertEqual(sorted(set(map(str, range(10))) - set(told)), sorted(other.told()))
        self.assert_no_records()

    def test_after_the_answer(self) -> None:
        """Only a node that dies before it has noted PHP's answer has another tell PHP again."""
        first, second = self.start(2)
        client = first.connect("a")
        first.bus.freeze()
        first.disconnect(client)
        self.assertEqual(["a"], first.told())
        self.stopped.add(first)
        self.let_pass(14)
        self.assertEqual(["a"], second.told())
        self.assertEqual(first.backend.asked[0].event.id, second.backend.asked[0].event.id)

    def test_php_is_away(self) -> None:
        """A survivor whose PHP is away adopts few; the other one tells of the rest."""
        first, second, third = self.start(3)
        second.backend.at_once = AskedEvent.refuse
        second.backend.is_there = False
        for number in range(500):
            first.connect(f"{number:04}")
        self.stopped.add(first)
        self.let_pass(16)
        self.assertGreaterEqual(len(third.told()), 400)
        second.backend.asked.clear()
        second.backend.at_once = AskedEvent.reply
        second.backend.is_there = True
        self.let_pass(40)
        self.assertEqual([f"{number:04}" for number in range(500)], self.told())
        self.assert_no_records()

    def test_stopped_above_the_lease(self) -> None:
        """A node that was taken for dead tells PHP of none that the others have told it of."""
        first, second = self.start(2)
        clients = [first.connect(f"{number:02}") for number in range(20)]
        self.stopped.add(first)
        self.let_pass(14)
        self.assertEqual(20, len(second.told()))
        self.resume(first, 14)
        for client in clients[:10]:
            # Before it has renewed its lease.
            first.disconnect(client)
        late = first.connect("late")
        self.let_pass(4)
        for client in (*clients[10:], late):
            first.disconnect(client)
        self.let_pass(10)
        self.assertEqual(sorted([f"{number:02}" for number in range(20)] + ["late"]), self.told())
        self.assertEqual(0, first.relay.disconnects_waiting)
        self.assert_no_records()

    def test_change_that_was_not_written(self) -> None:
        """A node that was taken for dead does not write records that were adopted already."""
        first, second = self.start(2)
        client = first.connect("a")
        first.registry.bind(client, "anna")
        self.stopped.add(first)
        self.let_pass(14)
        self.assertEqual(["a"], second.told())
        self.resume(first, 14)
        self.let_pass(14)
        self.assertEqual(["a"], self.told())
        self.assert_no_records()

    def test_cut_off_alone(self) -> None:
        """The others tell of the clients that they know of, and the node itself of all others."""
        first, second = self.start(2)
        before = first.connect("before")
        self.settle()
        first.bus.lose()
        self.let_pass(5)
        while_cut_off = first.connect("while cut off")
        self.let_pass(9)
        self.assertEqual(["before"], self.told())
        first.bus.restore()
        self.let_pass(4)
        for client in (before, while_cut_off):
            first.disconnect(client)
        self.let_pass(4)
        self.assertEqual((["while cut off"], ["before"]), (first.told(), second.told()))
        self.assert_no_records()

    def test_cut_off_alone_and_dead(self) -> None:
        """Also if that node dies after it was back."""
        first, second = self.start(2)
        first.bus.lose()
        first.connect("while cut off")
        self.let_pass(14)
        first.bus.restore()
        self.let_pass(4)
        self.stopped.add(first)
        self.let_pass(14)
        self.assertEqual(["while cut off"], second.told())

    def test_record_on_its_way(self) -> None:
        """A client is told of once, though its record was written as its node was found dead."""
        first, _ = self.start(2)
        self.stopped.add(first)
        self.let_pass(11)
        first.bus.freeze()
        client = first.connect("a")
        self.let_pass(3)
        self.resume(first, 14)
        first.bus.thaw()
        self.let_pass(2)
        first.disconnect(client)
        self.let_pass(14)
        self.assertEqual(["a"], self.told())
        self.assert_no_records()

    def test_as_new(self) -> None:
        """Under its new id, it is a node as any other."""
        first, second = self.start(2)
        self.stopped.add(first)
        self.let_pass(14)
        self.resume(first, 14)
        self.let_pass(2)
        first.disconnect(first.connect("a"))
        first.connect("b")
        self.let_pass(1)
        self.stopped.add(first)
        self.let_pass(14)
        self.assertEqual((["a"], ["b"]), (first.told(), second.told()))

    def test_stopped_below_the_lease(self) -> None:
        """It tells PHP itself, as soon as it knows that nobody else has."""
        first, second = self.start(2)
        client = first.connect("a")
        self.stopped.add(first)
        self.let_pass(9)
        self.resume(first, 9)
        first.disconnect(client)
        self.assertEqual([], first.told())
        self.let_pass(4)
        self.assertEqual((["a"], []), (first.told(), second.told()))

    def test_stop_in_order(self) -> None:
        """What PHP was not told of in time, the others tell it."""
        first, second = self.start(2)
        first.backend.at_once = AskedEvent.refuse
        first.disconnect(first.connect("a"))
        first.membership.stopService()
        first.ledger.stopService()
        self.stopped.add(first)
        self.let_pass(4)
        self.assertEqual(["a"], second.told())

    def test_lost_reply(self) -> None:
        """PHP is told of what was adopted, though the node has not heard of it."""
        first, second = self.start(2)
        for name in "abc":
            first.connect(name)
        self.stopped.add(first)
        self.let_pass(8)
        second.bus.loses_replies = True
        self.let_pass(6)
        self.engine.scripts["adopt"](
            (b"orphans", ledger_key(), adopted_key(), adopted_key(second.id)), (b"100",)
        )
        second.bus.loses_replies = False
        second.bus.lose()
        second.bus.restore()
        self.let_pass(20)
        self.assertEqual(["a", "b", "c"], self.told())
        self.assert_no_records()

    def test_nonsense(self) -> None:
        """What is no record is deleted and logged, and harms no other."""
        first, second = self.start(2)
        first.connect("a")
        for record in (b"", b"\xc1", b"\x93\x01\xc0\xc0", b"[]", b"\x00", bytes(5)):
            self.engine.call(b"HSET", [ledger_key(first.id), b"x" + record, record])
        self.stopped.add(first)
        with capturedLogs() as events:
            self.let_pass(14)
        self.assertEqual(["a"], second.told())
        self.assertIn(LogLevel.error, [event["log_level"] for event in events])
        self.assertEqual(6, second.metrics.disconnects_lost)
        self.assert_no_records()
