"""Tests for :mod:`phpgw.cluster.hold`: several nodes that are held and released together."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.cluster.exchange import Exchange
from phpgw.cluster.hold import ClusterHoldControl
from phpgw.cluster.membership import Membership
from phpgw.relay.errors import Draining
from phpgw.relay.hold_control import HoldState
from tests.support.hold_fixture import HoldFixture
from tests.support.memory_bus import MemoryBus, MemoryEngine
from tests.support.memory_scripts import add_scripts


class HeldNode:
    """A node whose events can be held."""

    def __init__(self, engine: MemoryEngine, clock: Any, longest: float = 60) -> None:
        self.bus = MemoryBus(engine)
        self.membership = Membership(clock, self.bus, keeps_id=True)
        self.exchange = Exchange(clock, self.bus, self.membership)
        self.holding = HoldFixture(longest, clock)
        self.hold = self.holding.hold
        self.control = ClusterHoldControl(self.bus, self.membership, self.exchange, self.hold)
        self.exchange.startService()
        self.membership.startService()

    @property
    def id(self) -> str:
        return self.membership.node_id


class ClusterHoldTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock: Any = Clock()
        self.engine = MemoryEngine(self.clock)
        add_scripts(self.engine)
        self.nodes = [self.start() for _ in range(3)]
        self.a, self.b, self.c = self.nodes
        self.let_pass(4)

    def start(self, **options: Any) -> HeldNode:
        return HeldNode(self.engine, self.clock, **options)

    def let_pass(self, seconds: float) -> None:
        self.clock.pump([0.05] * round(seconds * 20))

    def result(self, waiting: Deferred[HoldState], seconds: float = 0.5) -> HoldState:
        self.let_pass(seconds)
        return self.successResultOf(waiting)

    def held(self) -> list[bool]:
        return [node.hold.is_held for node in self.nodes]

    def problem(self, waiting: Deferred[HoldState], seconds: float = 0.5) -> str:
        problem = self.result(waiting, seconds).problem
        assert problem is not None
        return problem

    def test_all(self) -> None:
        state = self.result(self.a.control.hold(30, 10))
        self.assertEqual([True] * 3, self.held())
        self.assertEqual((True, 0, None), (state.is_held, state.running, state.problem))
        self.assertTrue(29 <= state.seconds_left <= 30, state)
        state = self.result(self.b.control.release())
        self.assertEqual([False] * 3, self.held())
        self.assertEqual(HoldState(False, 0, 0), state)

    def test_once_php_works_on_nothing(self) -> None:
        """It fires once that is so for all nodes, which may take long."""
        for node in self.nodes:
            node.holding.relay.running = 1
        holding = self.a.control.hold(30, 10)
        self.let_pass(3)
        self.a.holding.relay.end()
        self.let_pass(3)
        self.b.holding.relay.end()
        self.assertNoResult(holding)
        self.c.holding.relay.end()
        state = self.result(holding)
        self.assertEqual((True, 0, None), (state.is_held, state.running, state.problem))

    def test_php_takes_its_time(self) -> None:
        """The sum tells on how much PHP works still."""
        self.a.holding.relay.running = 2
        self.c.holding.relay.running = 3
        state = self.result(self.a.control.hold(30, 4), seconds=5)
        self.assertEqual((5, None), (state.running, state.problem))

    def test_node_that_does_not_answer(self) -> None:
        """It is named; the others are held."""
        self.b.bus.freeze()
        problem = self.problem(self.a.control.hold(30, 10), seconds=3)
        self.assertEqual(f"not all events are held back: node {self.b.id} does not answer", problem)
        self.assertEqual([True, False, True], [self.a.hold.is_held, False, self.c.hold.is_held])

    def test_node_that_is_cut_off(self) -> None:
        self.b.bus.lose()
        problem = self.problem(self.a.control.hold(30, 10), seconds=3)
        self.assertEqual(
            f"not all events are held back: node {self.b.id} is not on the bus", problem
        )
        self.b.bus.restore()
        self.let_pass(1)
        self.assertEqual([True] * 3, self.held())

    def test_dead_node(self) -> None:
        """It matters no longer once its lease has lapsed."""
        self.b.bus.lose()
        self.let_pass(14)
        self.assertIsNone(self.result(self.a.control.hold(30, 10), seconds=3).problem)

    def test_engine_away(self) -> None:
        """This node is held, and no other one; it is let go by itself."""
        self.a.bus.lose("Connection refused")
        problem = self.problem(self.a.control.hold(5, 10))
        self.assertEqual("not all events are held back: Connection refused", problem)
        self.assertEqual([True, False, False], self.held())
        problem = self.problem(self.a.control.release())
        self.assertEqual("not all events are let go: Connection refused", problem)
        self.assertEqual([False] * 3, self.held())

    def test_new_node(self) -> None:
        """It begins held, for as long as the others; not after the hold."""
        self.result(self.a.control.hold(30, 10))
        self.let_pass(10)
        new = self.start()
        self.let_pass(1)
        self.assertTrue(new.hold.is_held)
        self.assertTrue(18 < new.hold.seconds_left < 20, new.hold.seconds_left)
        self.let_pass(20)
        self.assertFalse(new.hold.is_held)
        newer = self.start()
        self.let_pass(1)
        self.assertFalse(newer.hold.is_held)

    def test_released_before_a_new_node(self) -> None:
        self.result(self.a.control.hold(30, 10))
        self.result(self.a.control.release())
        new = self.start()
        self.let_pass(1)
        self.assertFalse(new.hold.is_held)

    def test_back_while_held(self) -> None:
        """A node that has lost the engine does not hold for longer than it was told."""
        self.result(self.a.control.hold(10, 10))
        self.b.bus.lose()
        self.b.bus.restore()
        self.let_pass(10)
        self.assertEqual([False] * 3, self.held())

    def test_longest(self) -> None:
        """No node holds for longer than it may."""
        short = self.start(longest=5)
        self.let_pass(2)
        state = self.result(self.a.control.hold(30, 10))
        self.assertLessEqual(state.seconds_left, 5)
        self.let_pass(6)
        self.assertFalse(short.hold.is_held)
        self.assertTrue(self.a.hold.is_held)

    def test_node_that_stops(self) -> None:
        """It holds nothing, and is named; it cannot hold the others."""
        self.b.hold.close()
        problem = self.problem(self.a.control.hold(30, 10))
        self.assertEqual(
            f"not all events are held back: node {self.b.id} is about to stop", problem
        )
        with self.assertRaises(Draining):
            self.b.control.hold(30, 10)

    def test_nonsense(self) -> None:
        """A node that answers otherwise is named, and harms nothing."""
        self.b.exchange.handlers["hold"] = lambda sender, arguments: ["yes"]
        del self.c.exchange.handlers["hold"]
        problem = self.problem(self.a.control.hold(30, 10), seconds=3)
        self.assertIn(f"node {self.b.id} answers what is not understood", problem)
        self.assertIn(f"node {self.c.id}: it does not know hold", problem)
