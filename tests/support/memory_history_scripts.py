"""The scripts of histories, for an engine in memory: in Python, without sizes and times."""

from collections.abc import Sequence
from typing import Any

import attrs

from tests.support.memory_bus import MemoryEngine


def add_history_scripts(engine: MemoryEngine) -> None:
    """Let an engine run the scripts of histories."""
    scripts = _HistoryScripts(engine)
    engine.scripts.update(publish_kept=scripts.publish_kept, read_history=scripts.read_history)


@attrs.define
class _KeptGroup:
    epoch: bytes
    entries: list[list[Any]] = attrs.field(factory=list)


class _HistoryScripts:
    def __init__(self, engine: MemoryEngine) -> None:
        self._engine = engine
        # By the key of the stream.
        self._groups: dict[bytes, _KeptGroup] = {}

    def publish_kept(self, keys: Sequence[bytes], arguments: Sequence[bytes]) -> list[Any]:
        channel, frame, message, kind, _, _, epoch, *_ = arguments
        reply: list[Any] = [b"run"]
        for key in keys[::2]:
            group = self._groups.setdefault(key, _KeptGroup(epoch))
            group.entries.append([len(group.entries) + 1, kind, message])
            reply.append([len(group.entries), group.epoch])
        return [*reply, self._engine.publish(channel, frame)]

    def read_history(self, keys: Sequence[bytes], arguments: Sequence[bytes]) -> list[Any]:
        _, _, new_epoch, epoch = arguments[:4]
        after, limit, _ = map(int, arguments[4:])
        group = self._groups.setdefault(keys[0], _KeptGroup(new_epoch))
        last = len(group.entries)
        if after < 0:
            found = group.entries[::-1][:limit]
            return [b"run", group.epoch, last, 1, last, found]
        is_known = epoch == group.epoch and after <= last
        start = after if is_known else 0
        found = group.entries[start : start + limit]
        return [b"run", group.epoch, last, int(is_known), start, found]
