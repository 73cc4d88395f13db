"""Rules for histories: how many messages of which groups are kept, and for how long."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

import attrs

from phpgw.duration import parse_duration

MAX_SIZE = 10_000
"""The most messages that the history of a group may have."""

OFF = "off"
_SIZE = re.compile("[0-9]{1,9}")
_EXPECTED = f"SIZE,TTL like 100,5m (1 to {MAX_SIZE} messages, and a time above 0), or {OFF}"
# So many groups are looked up without their patterns.
_CACHED = 8192


@attrs.frozen
class HistoryRule:
    """A rule for the history of a group.

    :ivar size: how many messages are kept, at most; 0 for none.
    :ivar ttl: for how many seconds each of them is kept.
    """

    size: int
    ttl: float


NO_HISTORY = HistoryRule(0, 0.0)


@attrs.frozen
class PatternRule:
    """A rule for the groups whose names match a pattern.

    :ivar pattern: matches whole names.
    :ivar text: as it was given.
    """

    pattern: re.Pattern[str]
    rule: HistoryRule
    text: str

    def __str__(self) -> str:
        return self.text


def parse_rule(text: str) -> HistoryRule:
    """Return the rule in ``100,5m``, or in ``off``.

    :raises ValueError: with a description of valid rules, if the text is none.
    """
    if text.strip() == OFF:
        return NO_HISTORY
    size, _, ttl = (part.strip() for part in text.partition(","))
    try:
        rule = HistoryRule(int(size) if _SIZE.fullmatch(size) else 0, parse_duration(ttl))
    except ValueError:
        raise ValueError(_EXPECTED) from None
    if not 1 <= rule.size <= MAX_SIZE or not rule.ttl:
        raise ValueError(_EXPECTED)
    return rule


def parse_pattern_rule(text: str) -> PatternRule:
    """Return the rule in ``room-*=100,5m``; in the pattern, ``*`` is any text.

    :raises ValueError: with a description of valid rules, if the text is none.
    """
    # The name of a group may have an equals sign.
    pattern, equals, rule = text.rpartition("=")
    if not pattern or not equals:
        raise ValueError(f"a pattern for names of groups, an equals sign and {_EXPECTED}")
    try:
        return PatternRule(_compile(pattern.strip()), parse_rule(rule), text)
    except ValueError as error:
        raise ValueError(f"for {pattern.strip()[:50]} {error}") from None


def _compile(pattern: str) -> re.Pattern[str]:
    """Return a pattern with asterisks as a regular expression that never backtracks far."""
    first, *rest = map(re.escape, pattern.split("*"))
    if not rest:
        return re.compile(first)
    *middle, last = rest
    # Each part is looked for once: the first place where it fits is as good as a later one.
    parts = "".join(f"(?>.*?{part})" for part in middle if part)
    return re.compile(f"{first}{parts}.*{last}", re.DOTALL)


class HistoryRules:
    """The rules of ``--history``; of those whose patterns match, the first one counts."""

    def __init__(self, rules: Sequence[PatternRule]) -> None:
        self._rules = tuple(rules)
        self.find = lru_cache(maxsize=_CACHED)(self._find)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def of_message(self, groups: Iterable[str], rule: HistoryRule | None) -> dict[str, HistoryRule]:
        """Return the rule for each of the groups of a message in whose history it is kept.

        :param rule: the rule that comes with the message; ``None`` for that of each group.
        """
        if rule is not None:
            return dict.fromkeys(groups, rule) if rule.size else {}
        if not self._rules:
            return {}
        rules = {group: self.find(group) for group in groups}
        return {group: each for group, each in rules.items() if each.size}

    def _find(self, group: str) -> HistoryRule:
        """Return the rule for a group."""
        for each in self._rules:
            if each.pattern.fullmatch(group):
                return each.rule
        return NO_HISTORY
