"""Random tokens that expire: one-time codes, sessions, and tickets."""

from collections.abc import Callable, Iterator
from hashlib import sha256
from secrets import token_urlsafe
from typing import NamedTuple, Protocol

import attrs
from twisted.internet.defer import Deferred, succeed

# Nobody can guess a token of so many random bytes.
_TOKEN_BYTES = 32


class Tokens(Protocol):
    """Random tokens, each with a text, for a limited time.

    :ivar lifetime: seconds from the creation of a token to its end.
    :ivar observers: each is called when tokens were removed.
    """

    lifetime: float
    observers: list[Callable[[], object]]

    def create(self, value: str) -> Deferred[str]:
        """Return a new token, in characters that need no escape in a URL or a cookie.

        :returns: fires once the token is valid, in each process of the gateway.
        """

    def find(self, digest: str) -> str | None:
        """Return the text of a token; ``None`` if there is no such token any longer.

        :param digest: what :func:`token_digest` returns for the token.
        """

    def remove(self, digest: str) -> Deferred[str | None]:
        """End a token.

        :returns: fires with its text, or with ``None`` if there was no such token any longer: of
            all who end it at the same time, one gets the text.
        """


def token_digest(token: bytes) -> str:
    """Return the digest of a token, so that the time of a look-up tells nothing of it."""
    return sha256(token).hexdigest()


def new_token() -> str:
    """Return a random token, in characters that need no escape in a URL or a cookie."""
    return token_urlsafe(_TOKEN_BYTES)


class TokenEntry(NamedTuple):
    """A token in a table.

    :ivar seconds: how long it is valid from now on.
    """

    digest: str
    value: str
    seconds: float


@attrs.frozen
class _ExpiringText:
    value: str
    expires_at: float


class TokenTable:
    """The digests of tokens, with their texts.

    :param seconds: returns the current time.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        # Oldest first.
        self._kept: dict[str, _ExpiringText] = {}

    def add(self, entry: TokenEntry) -> None:
        """Add a token."""
        self._kept[entry.digest] = _ExpiringText(entry.value, self._seconds() + entry.seconds)

    def make_room(self, limit: int) -> list[str]:
        """Remove the oldest tokens, so that there is room for one more.

        :param limit: how many tokens there can be.
        :returns: their digests.
        """
        oldest = [*self._kept][: max(len(self._kept) - limit + 1, 0)]
        for digest in oldest:
            del self._kept[digest]
        return oldest

    def find(self, digest: str) -> str | None:
        """See :meth:`Tokens.find`."""
        kept = self._kept.get(digest)
        if kept is None:
            return None
        if kept.expires_at <= self._seconds():
            del self._kept[digest]
            return None
        return kept.value

    def remove(self, digest: str) -> str | None:
        """End a token, and return its text; ``None`` if there is no such token any longer."""
        value = self.find(digest)
        self._kept.pop(digest, None)
        return value

    def entries(self) -> Iterator[TokenEntry]:
        """Return all tokens that are valid."""
        now = self._seconds()
        for digest, kept in self._kept.items():
            if kept.expires_at > now:
                yield TokenEntry(digest, kept.value, kept.expires_at - now)


class ExpiringTokens:
    """The tokens of a gateway with one process; a :class:`Tokens`.

    :param limit: how many tokens there can be. The oldest ones make room for others.
    :param seconds: returns the current time.
    """

    def __init__(self, lifetime: float, limit: int, seconds: Callable[[], float]) -> None:
        self.lifetime = lifetime
        self.observers: list[Callable[[], object]] = []
        self._limit = limit
        self._table = TokenTable(seconds)

    def create(self, value: str) -> Deferred[str]:
        """See :meth:`Tokens.create`."""
        removed = self._table.make_room(self._limit)
        token = new_token()
        self._table.add(TokenEntry(token_digest(token.encode()), value, self.lifetime))
        if removed:
            self._notify()
        return succeed(token)

    def find(self, digest: str) -> str | None:
        """See :meth:`Tokens.find`."""
        return self._table.find(digest)

    def remove(self, digest: str) -> Deferred[str | None]:
        """See :meth:`Tokens.remove`."""
        value = self._table.remove(digest)
        self._notify()
        return succeed(value)

    def _notify(self) -> None:
        for observer in self.observers:
            observer()
