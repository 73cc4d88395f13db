"""Tests for :mod:`phpgw.cluster.timer_turns`: several nodes with the same timers."""

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.cluster.timer_turns import TimerTurns
from phpgw.metrics import Metrics
from phpgw.timers.rules import Cron, Every, Rule, Timer
from phpgw.timers.schedule import Schedule
from tests.support.memory_bus import MemoryBus, MemoryEngine
from tests.support.memory_scripts import add_scripts

START = 1_800_000_000.0


class Node:
    """A node with one timer.

    :param ahead: seconds by which its time of day is ahead.
    :ivar runs: what has begun here and has not ended, unless a run ends at once.
    """

    def __init__(
        self, engine: MemoryEngine, rule: Rule, ahead: float, started: list[float]
    ) -> None:
        self.bus = MemoryBus(engine)
        self.clock: Any = Clock()
        self.metrics = Metrics()
        self.runs: list[Deferred[bool]] = []
        self.ends_at_once = True
        self.turns = TimerTurns(self.clock, self.bus)

        def trigger(name: str) -> Deferred[bool]:
            started.append(self.clock.seconds())
            if self.ends_at_once:
                return succeed(True)
            self.runs.append(Deferred())
            return self.runs[-1]

        self.schedule = Schedule(
            self.clock,
            [Timer("a", rule)],
            trigger,
            self.metrics,
            lambda: START + ahead + self.clock.seconds(),
            self.turns,
        )
        self.turns.startService()
        self.schedule.startService()

    def counts(self) -> tuple[int, int, int]:
        """Return the numbers of runs that PHP replied to, that failed, and skipped ones."""
        metrics = self.metrics
        counts = metrics.timer_runs_replied, metrics.timer_runs_failed, metrics.timer_runs_skipped
        replied, failed, skipped = (each["a"] for each in counts)
        return replied, failed, skipped


class TimerTurnsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock: Any = Clock()
        self.engine = MemoryEngine(self.clock)
        add_scripts(self.engine)
        self.nodes: list[Node] = []
        self.stopped: list[Node] = []
        self.started: list[float] = []

    def start(self, rule: Rule, *ahead: float) -> list[Node]:
        """Start nodes, each a bit later than the one before."""
        for each in ahead:
            self.nodes.append(Node(self.engine, rule, each, self.started))
        return self.nodes

    def let_pass(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)
            for node in self.nodes:
                if node not in self.stopped:
                    node.clock.advance(0.1)
            for _ in range(5):
                self.clock.advance(0)

    def counts(self) -> tuple[int, int, int]:
        replied, failed, skipped = zip(*(node.counts() for node in self.nodes), strict=True)
        return sum(replied), sum(failed), sum(skipped)

    def test_once(self) -> None:
        """Each due time has one run, in whichever node; the others count nothing."""
        self.start(Every(10), 0, 0, 0)
        self.let_pass(100.5)
        self.assertEqual((10, 0, 0), self.counts())
        self.assertEqual(10, sum(node.metrics.timer_runs for node in self.nodes))
        self.assertEqual([10 * n for n in range(1, 11)], [round(each) for each in self.started])

    def test_started_at_any_time(self) -> None:
        """The times of an interval are the same, whenever a node has started."""
        self.start(Every(10), 0)
        self.let_pass(7)
        self.start(Every(10), 7)
        self.let_pass(100)
        self.assertEqual((10, 0, 0), self.counts())

    def test_clocks_apart(self) -> None:
        """Once the clock that is ahead has passed a time, no other node has the run."""
        self.start(Every(1), 0, 100)
        self.let_pass(100.5)
        self.started.clear()
        self.let_pass(60)
        self.assertEqual(60, len(self.started))
        self.setUp()
        behind, ahead = self.start(Cron("* * * * *"), 0, 5)
        self.let_pass(600)
        self.assertEqual((10, 0, 0), ahead.counts())
        self.assertEqual((0, 0, 0), behind.counts())

    def test_none_begins_while_one_is_under_way(self) -> None:
        """It is skipped, and counted once; when the run has ended, the next one begins."""
        self.start(Every(10), 0, 0)
        for node in self.nodes:
            node.ends_at_once = False
        self.let_pass(55)
        [run] = [run for node in self.nodes for run in node.runs]
        self.assertEqual(1, len(self.started))
        self.assertEqual(4, self.counts()[2])
        run.callback(True)
        self.let_pass(10)
        self.assertEqual(2, len(self.started))
        self.assertEqual((1, 0, 4), self.counts())

    def test_engine_loses_the_lock(self) -> None:
        """A node does not begin a run beside its own, and locks the timer again."""
        first, second = self.start(Every(10), 0, 0)
        for node in self.nodes:
            node.ends_at_once = False
        self.let_pass(15)
        self.engine.keys.values.clear()
        first, second = self.nodes if self.nodes[0].runs else self.nodes[::-1]
        self.stopped.append(second)
        self.let_pass(10)
        self.stopped.clear()
        self.let_pass(10)
        self.assertEqual(1, len(first.runs))
        self.assertEqual((0, 0, 2), self.counts())
        first.runs[0].callback(True)
        self.let_pass(10)
        self.assertEqual(2, len(self.started))

    def test_node_dies_with_a_run(self) -> None:
        """The next run is another node's, once the lock has lapsed."""
        first, second = self.start(Every(10), 0, 0)
        for node in self.nodes:
            node.ends_at_once = False
        self.let_pass(15)
        holder, other = (first, second) if first.runs else (second, first)
        self.stopped.append(holder)
        self.let_pass(20)
        self.assertEqual(1, len(other.runs))

    def test_lock_of_another(self) -> None:
        """A node that was stopped for long does not touch a lock that is not its own any more."""
        first, second = self.start(Every(10), 0, 0)
        for node in self.nodes:
            node.ends_at_once = False
        self.let_pass(15)
        holder, other = (first, second) if first.runs else (second, first)
        self.stopped.append(holder)
        self.let_pass(20)
        self.stopped.clear()
        self.let_pass(1)
        holder.runs[0].callback(True)
        self.let_pass(40)
        self.assertEqual(2, len(self.started))
        self.assertEqual(1, len(other.runs))

    def test_engine_away(self) -> None:
        """Runs are skipped and counted, and go on when the engine is back."""
        [node] = self.start(Every(10), 0)
        node.bus.lose()
        self.let_pass(35)
        self.assertEqual((0, 0, 3), node.counts())
        node.bus.restore()
        self.let_pass(10)
        self.assertEqual((1, 0, 3), node.counts())

    def test_lost_reply(self) -> None:
        """A run that may have been claimed is skipped, and the lock for it lapses."""
        [node] = self.start(Every(20), 0)
        self.let_pass(19.5)
        node.bus.loses_replies = True
        self.let_pass(1)
        node.bus.lose()
        node.bus.loses_replies = False
        node.bus.restore()
        self.assertEqual((0, 0, 1), node.counts())
        self.let_pass(20)
        self.assertEqual((1, 0, 1), node.counts())

    def test_lost_while_it_runs(self) -> None:
        """A run goes on without the engine, and nothing is left of it."""
        [node] = self.start(Every(10), 0)
        node.ends_at_once = False
        self.let_pass(15)
        node.bus.lose()
        node.runs[0].callback(True)
        self.let_pass(1)
        node.bus.restore()
        self.let_pass(20)
        self.assertEqual(2, len(node.runs))
        node.schedule.stopService()
        node.turns.stopService()
        self.assertEqual([], node.clock.getDelayedCalls())

    def test_keys_do_not_stay(self) -> None:
        [node] = self.start(Every(1), 0)
        self.let_pass(700)
        self.stopped.append(node)
        held = [key for key in [*self.engine.keys.values] if self.engine.keys.find(key)]
        self.assertLessEqual(len(held), 302)
