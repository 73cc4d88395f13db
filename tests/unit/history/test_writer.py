"""Tests for :mod:`phpgw.history.writer`."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.history.memory import MemoryHistory
from phpgw.history.rules import NO_HISTORY, HistoryRule, HistoryRules, parse_pattern_rule
from phpgw.history.writer import HistoryWriter


class WriterTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.history = MemoryHistory(Clock(), 100_000)
        rules = HistoryRules([parse_pattern_rule("kept-*=2,10")])
        self.writer = HistoryWriter(rules, self.history)

    def write(self, *groups: str, rule: HistoryRule | None = None) -> dict[str, int]:
        positions = self.writer.write(groups, b"x", False, rule)
        return {each.group: each.position.offset for each in positions}

    def test_rules(self) -> None:
        """A message is appended, once, for each of its groups that has a rule."""
        self.assertEqual(
            {"kept-a": 1, "kept-b": 1}, self.write("kept-a", "other", "kept-b", "kept-a")
        )
        self.assertEqual(2, self.history.groups)

    def test_own_rule(self) -> None:
        """The rule of a message counts in place of those of its groups."""
        self.assertEqual({}, self.write("kept-a", rule=NO_HISTORY))
        self.assertEqual({"x": 1, "kept-a": 1}, self.write("x", "kept-a", rule=HistoryRule(9, 9.0)))

    def test_without_rules(self) -> None:
        self.assertFalse(HistoryWriter(HistoryRules(()), self.history).has_rules)
        self.assertTrue(self.writer.has_rules)
