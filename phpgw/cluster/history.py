"""The histories of groups in the engine, which all nodes share."""

from collections.abc import Mapping
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from phpgw.bus.interface import Bus, BusUnavailable
from phpgw.cluster.history_scripts import PUBLISH_KEPT, READ_HISTORY
from phpgw.cluster.keys import history_keys
from phpgw.history.interface import (
    EPOCH_SECONDS,
    MAX_PAGE_BYTES,
    GroupPosition,
    History,
    HistoryEntry,
    HistoryPage,
    Position,
    new_epoch,
)
from phpgw.history.rules import HistoryRule
from phpgw.hub.directory import NotKnown

_EPOCH_MILLISECONDS = EPOCH_SECONDS * 1000
_BINARY, _TEXT = b"b", b"m"
# In place of an offset: read the last messages.
_LAST = -1


@attrs.frozen
class KeptFrame:
    """The outcome of a frame with a message that is kept.

    :ivar receivers: how many have received it.
    :ivar positions: of the message in the histories, without those that the engine is too full for.
    """

    receivers: int
    positions: tuple[GroupPosition, ...]


class EngineHistory(History):
    """The histories of groups in the engine.

    They end as their rules say, and not before, unless the engine is full. Then a message is
    published, and the history of its group is dropped; readers are told of the gap.

    Its methods fail with :exc:`phpgw.hub.directory.NotKnown` if the engine is away.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        # The run of the engine at the other end of this connection, as far as it is known.
        self._run = b""
        bus.observers.append(self)

    def publish(
        self,
        channel: bytes,
        frame: bytes,
        message: bytes,
        is_binary: bool,
        rules: Mapping[str, HistoryRule],
    ) -> Deferred[KeptFrame]:
        """Append a message to histories, and publish a frame, in one step.

        So the order in the histories is that in which the nodes receive it.

        :param rules: how many messages of each of its groups are kept, and for how long.
        :returns: fails with :exc:`phpgw.bus.interface.BusUnavailable`.
        """
        keys: list[bytes] = []
        kind = _BINARY if is_binary else _TEXT
        arguments = [channel, frame, message, kind, *self._common_arguments()]
        for group, rule in rules.items():
            keys += history_keys(group)
            arguments += rule.size, max(1, round(rule.ttl * 1000))
        running = self._bus.run(PUBLISH_KEPT, keys, arguments)
        return running.addCallback(self._published, [*rules])

    def after(self, group: str, position: Position, limit: int) -> Deferred[HistoryPage]:
        """Return the messages behind a position; see :meth:`History.after`."""
        return self._read(group, position, limit)

    def last(self, group: str, limit: int) -> Deferred[HistoryPage]:
        """Return the last messages; see :meth:`History.last`."""
        return self._read(group, Position(_LAST, ""), limit)

    # phpgw.bus.interface.BusObserver

    def connected(self) -> None:
        """Forget the run of the engine: it may be another one."""
        self._run = b""

    def lost(self, reason: str) -> None:
        """Do nothing: whatever waits for a reply fails."""

    def received(self, channel: bytes, frame: bytes) -> None:
        """Do nothing: that is for others."""

    def _common_arguments(self) -> list[bytes | int]:
        return [self._run, _EPOCH_MILLISECONDS, new_epoch().encode()]

    def _published(self, reply: list[Any], groups: list[str]) -> KeptFrame:
        self._run, *positions, receivers = reply
        return KeptFrame(
            receivers,
            tuple(
                GroupPosition(group, Position(position[0], position[1].decode()))
                for group, position in zip(groups, positions, strict=True)
                if position
            ),
        )

    def _read(self, group: str, position: Position, limit: int) -> Deferred[HistoryPage]:
        epoch = position.epoch.encode(errors="surrogateescape")
        arguments = [*self._common_arguments(), epoch, position.offset, limit, MAX_PAGE_BYTES]
        reading = self._bus.run(READ_HISTORY, history_keys(group), arguments)
        return reading.addCallbacks(self._page, _not_known, (position.offset == _LAST,))

    def _page(self, reply: list[Any], is_last: bool) -> HistoryPage:
        self._run, epoch, last, is_known, start, found = reply
        entries = [
            HistoryEntry(offset, message, kind == _BINARY) for offset, kind, message in found
        ]
        if is_last:
            entries.reverse()
        end = entries[-1].offset if entries else start
        return HistoryPage(entries, Position(end, epoch.decode()), not is_known, end < last)


def _not_known(failure: Failure) -> HistoryPage:
    failure.trap(BusUnavailable)
    raise NotKnown(failure.getErrorMessage())
