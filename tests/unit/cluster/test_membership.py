"""Tests for :mod:`phpgw.cluster.membership`."""

from typing import Any

from twisted.internet.defer import fail
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from phpgw.bus.interface import BusUnavailable
from phpgw.cluster.keys import adopted_key, ledger_key
from phpgw.cluster.membership import Membership
from tests.support.memory_bus import MemoryBus, MemoryEngine
from tests.support.memory_scripts import add_scripts


class Observer:
    """Notes what it is told.

    :ivar told: what has happened, in order.
    """

    def __init__(self) -> None:
        self.told: list[tuple[str, object]] = []

    def left(self, node_id: str) -> None:
        self.told.append(("left", node_id))

    def renamed(self, before: str) -> None:
        self.told.append(("renamed", before))

    def registered(self) -> None:
        self.told.append(("registered", None))

    def renewed(self, orphans: int) -> None:
        if orphans:
            self.told.append(("orphans", orphans))


class Node:
    """A member on a bus of its own.

    :ivar told: what its observers were told.
    """

    def __init__(self, engine: MemoryEngine, keeps_id: bool = False) -> None:
        self.bus = MemoryBus(engine)
        # A clock of its own, that can stop alone.
        self.clock: Any = Clock()
        self.clock.advance(1_000_000)
        # Seconds for which its machine was suspended.
        self.suspended = 0.0
        self.membership = Membership(
            self.clock,
            self.bus,
            keeps_id=keeps_id,
            lease_clock=lambda: self.clock.seconds() + self.suspended,
        )
        observer = Observer()
        self.told = observer.told
        self.membership.observers.append(observer)
        self.membership.lease_observers.append(observer)

    @property
    def id(self) -> str:
        return self.membership.node_id


class MembershipTestCase(SynchronousTestCase):
    """The clock of the engine, and that of each node, advance together."""

    def setUp(self) -> None:
        self.clock: Any = Clock()
        self.clock.advance(2_000_000)
        self.engine = MemoryEngine(self.clock)
        add_scripts(self.engine)
        self.stopped: set[Node] = set()
        self.nodes: list[Node] = []

    def start(self, count: int, **options: Any) -> list[Node]:
        for _ in range(count):
            node = Node(self.engine, **options)
            self.nodes.append(node)
            node.membership.startService()
        self.let_pass(2)
        return self.nodes

    def let_pass(self, seconds: float) -> None:
        """Let time pass for all nodes but those that are stopped (SIGSTOP)."""
        for _ in range(round(seconds * 2)):
            self.clock.advance(0.5)
            self.clock.advance(0)
            for node in self.nodes:
                if node not in self.stopped:
                    node.clock.advance(0.5)
            self.clock.advance(0)

    def resume(self, node: Node, seconds: float) -> None:
        """Let a stopped node go on, whose clock has gone on (SIGCONT)."""
        self.stopped.remove(node)
        node.clock.rightNow += seconds

    def live(self, node: Node) -> set[Node]:
        return {each for each in self.nodes if each.id in node.membership.live}


class LeaseTests(MembershipTestCase):
    def test_members(self) -> None:
        """All nodes know each other soon after they have started."""
        first, second, third = self.start(3)
        self.let_pass(2)
        for node in self.nodes:
            self.assertEqual({first, second, third}, self.live(node))
            self.assertEqual([("registered", None)], node.told)
        self.assertRegex(first.id, "^[0-9a-f]{12}$")

    def test_stop(self) -> None:
        """The others notice with their next renewal, and nothing is left of the node."""
        first, second = self.start(2)
        second.told.clear()
        first_id = first.id
        stopped = first.membership.stopService()
        self.clock.advance(0)
        self.successResultOf(stopped)
        self.nodes.remove(first)
        self.let_pass(2)
        self.assertEqual([("left", first_id)], second.told)
        self.assertEqual([], first.clock.getDelayedCalls())

    def test_death(self) -> None:
        """A node that renews no more is dead when its lease has lapsed, and for all at once."""
        first, second, third = self.start(3)
        self.let_pass(2)
        self.stopped.add(first)
        self.let_pass(8)
        self.assertIn(first.id, second.membership.live)
        with capturedLogs() as events:
            self.let_pass(4)
        for node in (second, third):
            self.assertEqual([("registered", None), ("left", first.id)], node.told)
        self.assertEqual({second, third}, self.live(second))
        self.assertIn(LogLevel.warn, [event["log_level"] for event in events])

    def test_connection(self) -> None:
        """The connection of a dead node is ended, so that it counts as subscribed no longer."""
        first, second = self.start(2)
        for node in (first, second):
            node.bus.subscribe(b"all")
        self.stopped.add(first)
        self.let_pass(8)
        self.assertEqual(2, self.engine.count(b"all"))
        self.let_pass(6)
        self.assertEqual(1, self.engine.count(b"all"))
        self.assertEqual([second.id.encode()], [*self.engine.keys.find(b"connections")])

    def test_connection_that_must_stay(self) -> None:
        """A node may not be allowed to end connections: all else goes on."""
        first, second = self.start(2)
        self.patch(
            second.bus,
            "end_connection",
            lambda label: fail(BusUnavailable("NOPERM no permissions")),
        )
        self.stopped.add(first)
        with capturedLogs() as events:
            self.let_pass(14)
        self.assertEqual(("left", first.id), second.told[-1])
        self.assertIn("NOPERM no permissions", [event.get("reason") for event in events])

    def test_orphans(self) -> None:
        """The survivors are told of a ledger that nobody has adopted; not of an empty one."""
        first, second, third = self.start(3)
        self.engine.call(b"HSET", [ledger_key(first.id), b"client", b"record"])
        self.engine.call(b"HSET", [adopted_key(third.id), b"client", b"record"])
        self.stopped |= {first, third}
        self.let_pass(14)
        self.assertIn(("orphans", 2), second.told)
        self.engine.call(b"DEL", [b"orphans"])
        second.told.clear()
        self.let_pass(2)
        self.assertEqual([], second.told)

    def test_stopped_with_a_ledger(self) -> None:
        """What PHP was not told of when a node has stopped, the others adopt."""
        first, second = self.start(2)
        self.engine.call(b"HSET", [ledger_key(first.id), b"client", b"record"])
        first.membership.stopService()
        self.nodes.remove(first)
        self.let_pass(2)
        self.assertIn(("orphans", 1), second.told)


class DeclaredDeadTests(MembershipTestCase):
    def test_stopped_below_the_lease(self) -> None:
        """Nothing happens; for a moment, the node does not rely on its lease."""
        first, second = self.start(2)
        self.stopped.add(first)
        self.let_pass(8)
        self.resume(first, 8)
        self.assertTrue(first.membership.is_in_doubt)
        self.let_pass(2)
        self.assertFalse(first.membership.is_in_doubt)
        self.assertEqual([("registered", None)], first.told)
        self.assertEqual([("registered", None)], second.told)

    def test_in_touch(self) -> None:
        """A node that was stopped is not in touch before the engine replies."""
        first, second = self.start(2)
        self.assertTrue(first.membership.is_in_touch)
        self.stopped.add(first)
        self.let_pass(14)
        self.resume(first, 14)
        self.assertFalse(first.membership.is_in_touch)
        self.assertTrue(second.membership.is_in_touch)
        self.let_pass(2)
        self.assertTrue(first.membership.is_in_touch)

    def test_in_touch_with_an_engine_that_is_full(self) -> None:
        [first] = self.start(1)
        self.engine.refusal = "OOM"
        self.let_pass(30)
        self.assertTrue(first.membership.is_in_touch)
        first.bus.loses_replies = True
        self.let_pass(9)
        self.assertFalse(first.membership.is_in_touch)

    def test_suspended_machine(self) -> None:
        """The node notices, though the clock of the reactor has stopped, too."""
        first, _ = self.start(2)
        self.stopped.add(first)
        self.let_pass(14)
        self.resume(first, 0)
        self.assertFalse(first.membership.is_in_doubt)
        first.suspended = 14
        self.assertTrue(first.membership.is_in_doubt)
        self.let_pass(4)
        self.assertFalse(first.membership.is_in_doubt)
        self.assertIn("renamed", [what for what, _ in first.told])

    def test_new_id(self) -> None:
        """A node that was declared dead finds its tombstone, and goes on with a new id."""
        first, second = self.start(2)
        before = first.id
        self.stopped.add(first)
        self.let_pass(14)
        self.resume(first, 14)
        self.assertTrue(first.membership.is_in_doubt)
        with capturedLogs() as events:
            self.let_pass(2)
        self.assertFalse(first.membership.is_in_doubt)
        self.assertNotEqual(before, first.id)
        self.assertEqual(
            [("registered", None), ("renamed", before), ("registered", None)], first.told
        )
        self.assertIn(LogLevel.error, [event["log_level"] for event in events])
        self.let_pass(2)
        self.assertEqual({first, second}, self.live(second))
        self.assertEqual({first, second}, self.live(first))
        self.assertEqual(2, len(second.membership.live))

    def test_same_id(self) -> None:
        """If PHP is told of no disconnects, the node is what it was."""
        first, second = self.start(2, keeps_id=True)
        before = first.id
        self.stopped.add(first)
        self.let_pass(14)
        self.assertNotIn(before, second.membership.live)
        self.resume(first, 14)
        self.let_pass(4)
        self.assertEqual(before, first.id)
        self.assertEqual({first, second}, self.live(second))
        self.assertEqual([("registered", None), ("registered", None)], first.told)

    def test_tombstones_do_not_stay(self) -> None:
        first, _ = self.start(2)
        self.stopped.add(first)
        self.let_pass(14)
        self.assertEqual(1, len(self.engine.keys.find(b"dead")))
        self.clock.advance(24 * 3600)
        self.let_pass(2)
        self.assertIsNone(self.engine.keys.find(b"dead"))


class EngineAwayTests(MembershipTestCase):
    def lose(self, seconds: float) -> None:
        """Have all nodes lose the engine for some time."""
        for node in self.nodes:
            node.bus.lose()
        self.let_pass(seconds)

    def restore(self) -> None:
        for node in self.nodes:
            node.bus.restore()
            self.let_pass(0.5)

    def test_not_in_doubt(self) -> None:
        """Nobody can declare a node dead while nobody has an engine."""
        first, second = self.start(2)
        self.lose(100)
        self.assertFalse(first.membership.is_in_doubt)
        self.restore()
        self.assertFalse(first.membership.is_in_doubt)
        self.let_pass(20)
        self.assertEqual({first, second}, self.live(first))
        for node in self.nodes:
            self.assertEqual([("registered", None), ("registered", None)], node.told)

    def test_in_doubt_until_it_is_found_out(self) -> None:
        """Between the connection and the reply of the engine, nothing is known."""
        [first] = self.start(1)
        self.lose(100)
        first.bus.restore()
        self.assertTrue(first.membership.is_in_doubt)
        self.clock.advance(0)
        self.assertFalse(first.membership.is_in_doubt)

    def test_lost_after_the_lease(self) -> None:
        """A node that was stopped, and finds its connection closed, may have been dead since."""
        first, _ = self.start(2)
        self.stopped.add(first)
        self.let_pass(14)
        self.resume(first, 14)
        first.bus.lose()
        self.assertTrue(first.membership.is_in_doubt)
        first.bus.restore()
        self.let_pass(1)
        self.assertFalse(first.membership.is_in_doubt)
        self.assertIn("renamed", [what for what, _ in first.told])

    def test_all_is_lost(self) -> None:
        """Nobody leaves because an engine has lost all, and knows one node again before another."""
        first, second = self.start(2)
        self.lose(1)
        self.engine.keys.values.clear()
        first.bus.restore()
        self.let_pass(8)
        self.assertEqual({first, second}, self.live(first))
        second.bus.restore()
        self.let_pass(20)
        self.assertEqual({first, second}, self.live(first))
        self.assertEqual([("registered", None)] * 2, first.told)

    def test_all_is_lost_with_a_node(self) -> None:
        """A node that does not come back has left after the time of a lease."""
        first, second = self.start(2)
        self.lose(1)
        self.engine.keys.values.clear()
        self.stopped.add(second)
        first.bus.restore()
        self.let_pass(12)
        self.assertEqual(("left", second.id), first.told[-1])

    def test_emptied(self) -> None:
        """The keys are deleted, and nobody loses the connection (``FLUSHALL``)."""
        first, second = self.start(2)
        self.engine.keys.values.clear()
        self.let_pass(4)
        self.assertEqual({first, second}, self.live(first))
        self.assertEqual([("registered", None)] * 2, first.told)

    def test_cut_off_alone(self) -> None:
        """A node without an engine is declared dead by those that have it."""
        first, second = self.start(2)
        before = first.id
        first.bus.lose()
        self.let_pass(14)
        self.assertEqual(("left", before), second.told[-1])
        first.bus.restore()
        self.let_pass(2)
        self.assertNotEqual(before, first.id)

    def test_engine_without_a_reply(self) -> None:
        """There is one question at a time."""
        first, _ = self.start(2)
        first.bus.freeze()
        self.let_pass(8)
        first.bus.thaw()
        self.let_pass(4)
        self.assertEqual([("registered", None)], first.told)

    def test_refused(self) -> None:
        """An engine that does not write is asked again."""
        first, _ = self.start(2)
        self.engine.refusal = "READONLY You can't write against a read only replica."
        self.let_pass(4)
        self.engine.refusal = ""
        self.let_pass(4)
        self.assertFalse(first.membership.is_in_doubt)
        self.assertEqual([("registered", None)], first.told)

    def test_replicas_away(self) -> None:
        """What the engine has taken last may be lost, so the lease ends sooner."""
        first, _ = self.start(2)
        self.engine.refusal = "NOREPLICAS Not enough good replicas to write."
        self.let_pass(3)
        self.assertFalse(first.membership.is_in_doubt)
        self.let_pass(3)
        self.assertTrue(first.membership.is_in_doubt)
        self.engine.refusal = ""
        self.let_pass(2)
        self.assertFalse(first.membership.is_in_doubt)

    def test_stopped_without_an_engine(self) -> None:
        [first] = self.start(1)
        first.bus.lose()
        self.successResultOf(first.membership.stopService())
        self.assertEqual([], first.clock.getDelayedCalls())

    def test_started_without_an_engine(self) -> None:
        """A node becomes a member once there is one."""
        node = Node(self.engine)
        self.nodes.append(node)
        node.bus.lose()
        node.membership.startService()
        self.let_pass(4)
        self.assertEqual(frozenset({node.id}), node.membership.live)
        self.assertFalse(node.membership.is_in_doubt)
        node.bus.restore()
        self.let_pass(0.5)
        self.assertEqual([("registered", None)], node.told)


class ClockOfTheEngineTests(MembershipTestCase):
    def test_set(self) -> None:
        """Nobody dies because the clock of the engine was set, and who does is noticed."""
        for change in (3600, -3600):
            self.setUp()
            first, second = self.start(2)
            self.clock.rightNow += change
            self.let_pass(20)
            self.assertEqual([("registered", None)], first.told)
            self.stopped.add(first)
            self.let_pass(14)
            self.assertEqual(("left", first.id), second.told[-1])
