"""Histories in the memory of this process."""

from collections import OrderedDict, deque
from itertools import islice

import attrs
from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from phpgw.history.interface import (
    EPOCH_SECONDS,
    MAX_PAGE_BYTES,
    History,
    HistoryEntry,
    HistoryPage,
    Position,
    new_epoch,
)
from phpgw.history.rules import HistoryRule

# What a message and a group take beside their texts, about.
_ENTRY_BYTES = 250
_GROUP_BYTES = 1500


@attrs.define(eq=False)
class _Kept:
    """The history of one group.

    :ivar pushed: how many messages it has had: the offset of the last one.
    :ivar entries: with the times at which they were pushed, in the reactor's seconds.
    :ivar ttl: seconds for which an entry is kept, as the last push says.
    :ivar used_at: when it was last pushed to, or was begun.
    :ivar call: frees what has expired.
    """

    group: str
    used_at: float
    epoch: str = attrs.field(factory=new_epoch)
    pushed: int = 0
    ttl: float = 0.0
    entries: deque[tuple[float, HistoryEntry]] = attrs.field(factory=deque)
    call: IDelayedCall | None = None

    @property
    def position(self) -> Position:
        return Position(self.pushed, self.epoch)

    @property
    def next_expiry(self) -> float:
        """Return when the oldest entry expires or, without entries, the epoch ends."""
        if self.entries:
            return self.entries[0][0] + self.ttl
        return self.used_at + self.ttl + EPOCH_SECONDS


class MemoryHistory(Service, History):
    """A service with the histories of groups in memory, which end with it.

    If they take too much, those of the groups that have been silent for longest are dropped, the
    oldest message first. Readers are told of the gap.

    :param max_bytes: bytes that all may take, about.
    :ivar bytes: bytes that they take, about.
    :ivar entries: how many messages are kept.
    :ivar dropped: how many messages have been dropped because of ``max_bytes``.
    """

    def __init__(self, reactor: IReactorTime, max_bytes: int) -> None:
        self._reactor = reactor
        self._max_bytes = max_bytes
        self.bytes = 0
        self.entries = 0
        self.dropped = 0
        # The one with the latest message is last.
        self._groups: OrderedDict[str, _Kept] = OrderedDict()

    def stopService(self) -> None:
        """Forget all histories."""
        super().stopService()
        for kept in [*self._groups.values()]:
            self._forget(kept)

    @property
    def groups(self) -> int:
        """Return how many groups have a history."""
        return len(self._groups)

    def append(self, group: str, rule: HistoryRule, message: bytes, is_binary: bool) -> Position:
        """Append a message to the history of a group, and return its position.

        :param rule: how many messages of the group are kept from now on, and for how long.
        """
        now = self._reactor.seconds()
        kept = self._find(group)
        self._groups.move_to_end(group)
        kept.used_at, kept.ttl = now, rule.ttl
        kept.pushed += 1
        kept.entries.append((now, HistoryEntry(kept.pushed, message, is_binary)))
        self.entries += 1
        self.bytes += _ENTRY_BYTES + len(message)
        while len(kept.entries) > rule.size:
            self._drop_oldest(kept)
        self._drop_expired(kept)
        self._schedule(kept)
        while self.bytes > self._max_bytes:
            self._make_room()
        return kept.position

    def after(self, group: str, position: Position, limit: int) -> HistoryPage:
        """Return the messages behind a position; see :meth:`History.after`."""
        kept = self._find(group)
        self._drop_expired(kept)
        oldest = kept.pushed - len(kept.entries)
        is_known = position.epoch == kept.epoch and oldest <= position.offset <= kept.pushed
        start = position.offset if is_known else oldest
        entries: list[HistoryEntry] = []
        size = 0
        for _, entry in islice(kept.entries, start - oldest, start - oldest + limit):
            size += len(entry.message)
            if entries and size > MAX_PAGE_BYTES:
                break
            entries.append(entry)
        end = start + len(entries)
        return HistoryPage(entries, Position(end, kept.epoch), not is_known, end < kept.pushed)

    def last(self, group: str, limit: int) -> HistoryPage:
        """Return the last messages; see :meth:`History.last`."""
        kept = self._find(group)
        self._drop_expired(kept)
        entries: list[HistoryEntry] = []
        size = 0
        for _, entry in islice(reversed(kept.entries), limit):
            size += len(entry.message)
            if entries and size > MAX_PAGE_BYTES:
                break
            entries.append(entry)
        entries.reverse()
        return HistoryPage(entries, kept.position, has_gap=False, has_more=False)

    def _find(self, group: str) -> _Kept:
        """Return the history of a group; begin it if there is none.

        Also for a reader: it gets the position from which it can read what is pushed later.
        """
        kept = self._groups.get(group)
        if kept is None:
            kept = self._groups[group] = _Kept(group, self._reactor.seconds())
            self.bytes += _GROUP_BYTES + len(group)
            self._schedule(kept)
            while self.bytes > self._max_bytes and len(self._groups) > 1:
                self._make_room()
        return kept

    def _make_room(self) -> None:
        """Drop the oldest message of the group that has been silent for longest, or the group."""
        silent = next(iter(self._groups.values()))
        if silent.entries:
            self._drop_oldest(silent)
            self.dropped += 1
        else:
            self._forget(silent)

    def _drop_oldest(self, kept: _Kept) -> None:
        _, entry = kept.entries.popleft()
        self.entries -= 1
        self.bytes -= _ENTRY_BYTES + len(entry.message)

    def _drop_expired(self, kept: _Kept) -> None:
        end = self._reactor.seconds() - kept.ttl
        while kept.entries and kept.entries[0][0] <= end:
            self._drop_oldest(kept)

    def _forget(self, kept: _Kept) -> None:
        while kept.entries:
            self._drop_oldest(kept)
        if kept.call is not None:
            kept.call.cancel()
            kept.call = None
        del self._groups[kept.group]
        self.bytes -= _GROUP_BYTES + len(kept.group)

    def _schedule(self, kept: _Kept) -> None:
        """See to it that what expires next is freed then."""
        expiry = kept.next_expiry
        if kept.call is not None:
            if kept.call.getTime() <= expiry:
                # It schedules the next call.
                return
            kept.call.cancel()
        delay = max(0, expiry - self._reactor.seconds())
        kept.call = self._reactor.callLater(delay, self._expire, kept)

    def _expire(self, kept: _Kept) -> None:
        kept.call = None
        self._drop_expired(kept)
        if kept.entries or kept.next_expiry > self._reactor.seconds():
            self._schedule(kept)
        else:
            self._forget(kept)
