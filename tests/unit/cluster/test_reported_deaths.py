"""Tests for :mod:`phpgw.cluster.reported_deaths`."""

from tests.support.memory_node import MemoryNodesTestCase


class ReportedDeathsTests(MemoryNodesTestCase):
    def test_at_once(self) -> None:
        """PHP is told once of each client of a node that has ended, before its lease ends."""
        first, second, third = self.start(3)
        for number in range(300):
            first.connect(f"{number:04}")
        first.bus.lose()
        self.stopped.add(first)
        reports = [node.deaths.report(first.id) for node in (second, third)]
        self.let_pass(0.5)
        for each in reports:
            self.successResultOf(each)
        self.let_pass(2)
        self.assertEqual([f"{number:04}" for number in range(300)], self.told())
        self.assertNotIn(first.id, second.membership.live | third.membership.live)
        self.let_pass(20)
        self.assertEqual(300, len(self.told()))

    def test_unread(self) -> None:
        """As long as the engine has not read all that the node has asked, it is not dead."""
        first, second = self.start(2)
        told, owed = first.connect("a"), first.connect("b")
        first.bus.subscribe(b"anything")
        self.settle()
        first.bus.freeze()
        first.disconnect(told)
        self.settle()
        self.assertEqual(["a"], first.told())
        self.stopped.add(first)
        reported = second.deaths.report(first.id)
        self.let_pass(0.5)
        self.assertNoResult(reported)
        self.assertEqual([], second.told())
        first.bus.thaw()
        first.bus.lose()
        self.let_pass(3)
        self.successResultOf(reported)
        self.assertEqual([owed.id.partition(".")[2]], second.told())

    def test_never_noticed(self) -> None:
        """If the engine never notices the end of the connection, the lease decides."""
        first, second = self.start(2)
        first.connect("a")
        first.bus.subscribe(b"anything")
        self.stopped.add(first)
        reported = second.deaths.report(first.id)
        self.let_pass(6)
        self.assertNoResult(reported)
        self.assertEqual([], second.told())
        self.let_pass(8)
        self.successResultOf(reported)
        self.assertEqual(["a"], second.told())

    def test_engine_away(self) -> None:
        """It is done as soon as the engine is back."""
        first, second = self.start(2)
        first.connect("a")
        self.stopped.add(first)
        second.bus.lose()
        reported = second.deaths.report(first.id)
        self.let_pass(3)
        self.assertNoResult(reported)
        first.bus.lose()
        second.bus.restore()
        self.let_pass(1)
        self.successResultOf(reported)
        self.assertEqual(["a"], second.told())

    def test_nobody(self) -> None:
        """A node that has left in order, or was never there, is no matter."""
        _, second = self.start(2)
        reported = second.deaths.report("0" * 12)
        self.let_pass(1)
        self.successResultOf(reported)
        self.assertEqual([], self.told())
