"""Tests for :mod:`phpgw.history.rules`."""

from time import perf_counter

from twisted.trial.unittest import SynchronousTestCase

from phpgw.history.rules import (
    MAX_SIZE,
    NO_HISTORY,
    HistoryRule,
    HistoryRules,
    parse_pattern_rule,
    parse_rule,
)


def matches(pattern: str, group: str) -> bool:
    return parse_pattern_rule(f"{pattern}=1,1").pattern.fullmatch(group) is not None


class RuleTests(SynchronousTestCase):
    def test_rules(self) -> None:
        for text, rule in (
            ("100,5m", HistoryRule(100, 300.0)),
            (" 1 , 500ms ", HistoryRule(1, 0.5)),
            (f"{MAX_SIZE},10", HistoryRule(MAX_SIZE, 10.0)),
            ("off", NO_HISTORY),
        ):
            self.assertEqual(rule, parse_rule(text))

    def test_no_rules(self) -> None:
        """The error says how a rule looks."""
        for text in ("", "100", "0,5m", "10,0", "-1,5m", "10,5d", f"{MAX_SIZE + 1},1", "1,2,3"):
            error = self.assertRaises(ValueError, parse_rule, text)
            self.assertIn("SIZE,TTL like 100,5m (1 to 10000 messages", str(error))

    def test_patterns(self) -> None:
        for pattern, group, is_match in (
            ("room", "room", True),
            ("room", "room-1", False),
            ("room-*", "room-", True),
            ("room-*", "room-\n1", True),
            ("room-*", "a room-1", False),
            ("*", "", True),
            ("*-log", "a-log-log", True),
            ("*-log", "a-logs", False),
            ("a*b*c", "axbxbxc", True),
            ("a*b*c", "ac", False),
            ("a**c", "abc", True),
            # The parts must not overlap.
            ("ab*ba", "aba", False),
            ("*ab*ab*", "ab", False),
            (".*", "x", False),
            ("[ab]", "[ab]", True),
            ("a=b*", "a=b=c", True),
        ):
            self.assertEqual(is_match, matches(pattern, group), (pattern, group))

    def test_time(self) -> None:
        """Many asterisks take no long time, also where they match nothing."""
        start = perf_counter()
        self.assertFalse(matches("*a" * 30 + "b", "a" * 1024))
        self.assertLess(perf_counter() - start, 0.05)

    def test_no_patterns(self) -> None:
        for text, complaint in (
            ("room-*", "a pattern for names of groups, an equals sign and SIZE,TTL like"),
            ("=5,5m", "a pattern for names of groups"),
            ("room-*=5", "for room-* SIZE,TTL like"),
        ):
            error = self.assertRaises(ValueError, parse_pattern_rule, text)
            self.assertTrue(str(error).startswith(complaint), error)

    def test_text(self) -> None:
        """A rule is shown as it was given."""
        self.assertEqual("room-*=5,1m", str(parse_pattern_rule("room-*=5,1m")))

    def test_first_counts(self) -> None:
        texts = ("room-private-*=off", "room-*=5,1m", "*-1=9,9")
        rules = HistoryRules([parse_pattern_rule(text) for text in texts])
        self.assertTrue(rules)
        for group, rule in (
            ("room-private-1", NO_HISTORY),
            ("room-1", HistoryRule(5, 60.0)),
            ("x-1", HistoryRule(9, 9.0)),
            ("x", NO_HISTORY),
        ):
            self.assertEqual(rule, rules.find(group))

    def test_none(self) -> None:
        """Without rules, no group has a history."""
        self.assertFalse(HistoryRules(()))
        self.assertEqual(NO_HISTORY, HistoryRules(()).find("room"))
