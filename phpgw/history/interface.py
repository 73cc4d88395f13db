"""Histories as their readers see them: positions, entries, and gaps."""

import secrets
from collections.abc import Sequence
from typing import Protocol

import attrs
from twisted.internet.defer import Deferred

EPOCH_SECONDS = 86400
"""For so many seconds after its last message has expired, a group has the same epoch.

So who has seen all of them is not told of a gap.
"""

MAX_PAGE_BYTES = 1_000_000
"""Bytes that the messages on one page may have together, unless a single one has more."""

_EPOCH_BYTES = 8


def new_epoch() -> str:
    """Return a new epoch: a random text."""
    return secrets.token_hex(_EPOCH_BYTES)


@attrs.frozen
class Position:
    """A place in the history of a group: behind the message with this offset.

    :ivar offset: how many messages the group has had in this epoch.
    :ivar epoch: a random text. It is a new one where messages may have been lost without a trace,
        such as after a restart. Offsets of different epochs cannot be compared.
    """

    offset: int
    epoch: str


@attrs.frozen
class GroupPosition:
    """A place in the history of a group, and the name of the group."""

    group: str
    position: Position


@attrs.frozen
class HistoryEntry:
    """A message to a group.

    :ivar offset: one more than that of the message before.
    """

    offset: int
    message: bytes
    is_binary: bool


@attrs.frozen
class HistoryPage:
    """Messages to a group, in the order in which they were pushed.

    :ivar position: behind the last of them: where to read on.
    :ivar has_gap: whether messages between the position that was asked for and these entries are
        missing, or may be.
    :ivar has_more: whether there are more messages behind these.
    """

    entries: Sequence[HistoryEntry]
    position: Position
    has_gap: bool
    has_more: bool


class History(Protocol):
    """The histories of all groups.

    It returns pages at once or as a Deferred: its callers take both.
    """

    def after(
        self, group: str, position: Position, limit: int
    ) -> HistoryPage | Deferred[HistoryPage]:
        """Return the messages behind a position, the oldest first.

        If there is a gap, the page begins with the oldest message that is left.

        :param limit: how many messages, at most. There are fewer if they are long
            (:data:`MAX_PAGE_BYTES`).
        """

    def last(self, group: str, limit: int) -> HistoryPage | Deferred[HistoryPage]:
        """Return the last messages, the oldest first; no gap is behind them.

        :param limit: as of :meth:`after`. With 0, it is the position alone.
        """
