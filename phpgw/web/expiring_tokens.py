"""Random tokens that expire: one-time codes, and sessions."""

from collections.abc import Callable
from hashlib import sha256
from secrets import token_urlsafe
from typing import Generic, TypeVar

import attrs

T = TypeVar("T")

# Nobody can guess a token of so many random bytes.
_TOKEN_BYTES = 32


@attrs.frozen
class _Entry(Generic[T]):
    value: T
    expires_at: float


class ExpiringTokens(Generic[T]):
    """Random tokens, each with a value, for a limited time.

    :param lifetime: seconds from the creation of a token to its end.
    :param limit: how many tokens there can be. The oldest ones make room for others.
    :param seconds: returns the current time.
    """

    def __init__(self, lifetime: float, limit: int, seconds: Callable[[], float]) -> None:
        self.lifetime = lifetime
        self._limit = limit
        self._seconds = seconds
        # By digest, so that the time of a look-up tells nothing of a token. Oldest first.
        self._entries: dict[bytes, _Entry[T]] = {}

    def create(self, value: T) -> str:
        """Return a new token, in characters that need no escape in a URL or a cookie."""
        while len(self._entries) >= self._limit:
            del self._entries[next(iter(self._entries))]
        token = token_urlsafe(_TOKEN_BYTES)
        self._entries[_digest(token.encode())] = _Entry(value, self._seconds() + self.lifetime)
        return token

    def find(self, token: bytes) -> T | None:
        """Return the value of a token; ``None`` if there is no such token any longer."""
        digest = _digest(token)
        entry = self._entries.get(digest)
        if entry is None:
            return None
        if entry.expires_at <= self._seconds():
            del self._entries[digest]
            return None
        return entry.value

    def remove(self, token: bytes) -> T | None:
        """End a token, and return its value; ``None`` if there is no such token any longer."""
        value = self.find(token)
        self._entries.pop(_digest(token), None)
        return value


def _digest(token: bytes) -> bytes:
    return sha256(token).digest()
