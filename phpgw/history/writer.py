"""Appends pushed messages to the histories of their groups."""

from collections.abc import Sequence

from phpgw.history.interface import GroupPosition
from phpgw.history.memory import MemoryHistory
from phpgw.history.rules import HistoryRule, HistoryRules


class HistoryWriter:
    """Appends messages to histories in memory, as the rules say.

    :ivar has_rules: whether a message may have a history that is not asked for with it.
    """

    def __init__(self, rules: HistoryRules, history: MemoryHistory) -> None:
        self.has_rules = bool(rules)
        self._rules = rules
        self._history = history

    def write(
        self, groups: Sequence[str], message: bytes, is_binary: bool, rule: HistoryRule | None
    ) -> tuple[GroupPosition, ...]:
        """Append a message to the histories of groups that it is pushed to.

        :param rule: the rule that comes with the message; ``None`` for that of each group.
        :returns: the message's positions in those groups that have a history.
        """
        rules = self._rules.of_message(groups, rule)
        return tuple(
            GroupPosition(group, self._history.append(group, each, message, is_binary))
            for group, each in rules.items()
        )
