"""What was asked for in a soak, what came of it, and what should not have."""

import attrs

_MOST_COMPLAINTS = 100


@attrs.define
class Ledger:
    """Totals since the start.

    :ivar asked: messages to PHP that have to be answered.
    :ivar answered: those that were.
    :ivar failed: those that were answered with word that PHP failed, as it may in a restart.
    :ivar pushed: messages that the API took, each for a whole group.
    :ivar received: those messages, as members of the groups got them.
    :ivar streamed: lines of streamed replies.
    :ivar visits: clients that came and left.
    :ivar turned_away: clients that had to come again.
    :ivar slow_closed: slow consumers that were sent away.
    :ivar complaints: what should not have been.
    """

    asked: int = 0
    answered: int = 0
    failed: int = 0
    pushed: int = 0
    received: int = 0
    streamed: int = 0
    visits: int = 0
    turned_away: int = 0
    slow_closed: int = 0
    complaints: list[str] = attrs.field(factory=list)

    def complain(self, what: str) -> None:
        """Note what should not have been; the first of many are enough."""
        if len(self.complaints) < _MOST_COMPLAINTS:
            self.complaints.append(what)
