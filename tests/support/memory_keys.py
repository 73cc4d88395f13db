"""Keys in memory, and the commands of Redis for them that tests use."""

from collections.abc import Callable
from typing import Any


class MemoryKeys:
    """The keys of an engine in memory. Replies are as in RESP3.

    :param seconds: returns the time.
    :ivar commands: the commands, by their names; a test may add some.
    :ivar values: bytes, hashes (``dict``) and sorted sets (``dict`` with numbers).
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self.values: dict[bytes, Any] = {}
        self._expires_at: dict[bytes, float] = {}
        self.commands: dict[bytes, Callable[..., Any]] = {
            b"TIME": self._time,
            b"GET": self._get,
            b"SET": self._set,
            b"DEL": self._del,
            b"EXISTS": lambda key: int(self.find(key) is not None),
            b"PEXPIRE": self._pexpire,
            b"PTTL": self._pttl,
            b"HSET": self._hset,
            b"HGET": lambda key, field: self._hash(key).get(field),
            b"HDEL": lambda key, *fields: self._remove(key, fields),
            b"HLEN": lambda key: len(self._hash(key)),
            b"HGETALL": lambda key: dict(self._hash(key)),
            b"ZADD": self._zadd,
            b"ZREM": lambda key, *members: self._remove(key, members),
            b"ZSCORE": lambda key, member: self._hash(key).get(member),
            b"ZRANGE": self._zrange,
        }

    def find(self, key: bytes) -> Any:
        """Return the value of a key; ``None`` if there is none, or it has expired."""
        if self._expires_at.get(key, self._seconds() + 1) <= self._seconds():
            self._del(key)
        return self.values.get(key)

    def _hash(self, key: bytes) -> dict[bytes, Any]:
        return self.find(key) or {}

    def _time(self) -> list[bytes]:
        now = self._seconds()
        return [b"%d" % now, b"%d" % (now % 1 * 1_000_000)]

    def _get(self, key: bytes) -> bytes | None:
        value: bytes | None = self.find(key)
        return value

    def _set(self, key: bytes, value: bytes, *options: bytes) -> bytes | None:
        words = [option.upper() for option in options]
        if (b"NX" in words and self.find(key) is not None) or (
            b"XX" in words and self.find(key) is None
        ):
            return None
        self._del(key)
        self.values[key] = value
        for unit, divisor in ((b"PX", 1000), (b"EX", 1)):
            if unit in words:
                seconds = int(words[words.index(unit) + 1]) / divisor
                self._expires_at[key] = self._seconds() + seconds
        return b"OK"

    def _del(self, *keys: bytes) -> int:
        for key in keys:
            self._expires_at.pop(key, None)
        return sum(self.values.pop(key, None) is not None for key in keys)

    def _pexpire(self, key: bytes, milliseconds: bytes) -> int:
        if self.find(key) is None:
            return 0
        self._expires_at[key] = self._seconds() + int(milliseconds) / 1000
        return 1

    def _pttl(self, key: bytes) -> int:
        if self.find(key) is None:
            return -2
        if key not in self._expires_at:
            return -1
        return round((self._expires_at[key] - self._seconds()) * 1000)

    def _hset(self, key: bytes, *pairs: bytes) -> int:
        if self.find(key) is None:
            self.values[key] = {}
        fields = self.values[key]
        before = len(fields)
        fields.update(zip(pairs[::2], pairs[1::2], strict=True))
        return len(fields) - before

    def _zadd(self, key: bytes, *pairs: bytes) -> int:
        if self.find(key) is None:
            self.values[key] = {}
        scores = self.values[key]
        before = len(scores)
        scores.update(
            {member: float(score) for score, member in zip(*[iter(pairs)] * 2, strict=True)}
        )
        return len(scores) - before

    def _zrange(self, key: bytes, first: bytes, last: bytes) -> list[bytes]:
        """Return the members by their scores, both ends included."""
        scores = self._hash(key)
        members = sorted(scores, key=lambda member: (scores[member], member))
        end = int(last) + 1
        return members[int(first) : end or None]

    def _remove(self, key: bytes, names: tuple[bytes, ...]) -> int:
        found = self._hash(key)
        count = sum(found.pop(name, None) is not None for name in names)
        if not found:
            self._del(key)
        return count
