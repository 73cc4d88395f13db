"""The login to a server, which also finds out how the connection can be cleaned."""

import attrs

from phpgw.pools.redis.cleaning import RESTORING, RedisCleaning, bulk, request

# Replies after which nothing can be asked, by their first word.
_REASONS = {
    b"NOAUTH": "it asks for a password",
    b"WRONGPASS": "it refuses user and password",
    b"LOADING": "it is loading its data",
    b"DENIED": "it is in protected mode, and has no password",
}
_FULL = b"-ERR max number of clients reached"


class RedisLoginRefused(Exception):
    """The server cannot be used; the text says why, and has no part of a password in it."""


@attrs.frozen(kw_only=True)
class RedisLogin:
    """A login: the user, and the database.

    :ivar user: a user of the server's access control; empty for its default user.
    :ivar password: ``None`` if there is none.
    :ivar database: the number of the database.
    """

    user: bytes
    password: bytes | None = attrs.field(repr=False)
    database: int

    def requests(self, nonce: bytes) -> bytes:
        """Return what is sent in one piece: the login, and a cleaning on trial.

        :param nonce: letters and digits that were never used before.
        """
        commands = [*self._auth(), *self._cleaning(), (b"ECHO", nonce)]
        return b"".join(request(*words) for words in commands)

    def count_replies(self) -> int:
        """Return the number of replies."""
        return 2 * len(self._auth()) + 1 + len(RESTORING) + len(self._select()) + 1

    def judge(self, replies: list[bytes], nonce: bytes) -> RedisCleaning | None:
        """Return how the connection can be cleaned; ``None`` if it cannot.

        :param replies: the first lines of the replies, and all of the last one; fewer if the server
            has closed the connection.
        :raises RedisLoginRefused: if the server cannot be used.
        """
        is_complete = len(replies) == self.count_replies()
        logins, replies = replies[: len(self._auth())], replies[len(self._auth()) :]
        for reply in (*logins, *replies[-1:]):
            self._check(reply, is_complete)
        if not is_complete:
            raise RedisLoginRefused("it closed the connection during the login")
        if any(reply != b"+OK" for reply in logins):
            raise RedisLoginRefused("it refuses user and password")
        tried = dict(zip(self._cleaning(), replies[:-1], strict=True))
        if any(not tried[words].startswith(b"+OK") for words in self._select()):
            raise RedisLoginRefused(f"it has no database {self.database} for this user")
        kept = {
            words: reply
            for words, reply in tried.items()
            if reply == b"+OK" or words not in RESTORING
        }
        is_clean = all(
            reply == (b"+RESET" if words == (b"RESET",) else b"+OK")
            for words, reply in kept.items()
        )
        if not is_clean or bulk(nonce) != replies[-1]:
            return None
        return RedisCleaning(
            requests=b"".join(request(*words) for words in kept),
            replies=b"".join(reply + b"\r\n" for reply in kept.values()),
            covers_all_users=not any(
                reply.startswith(b"-NOPERM") for words, reply in tried.items() if words in RESTORING
            ),
        )

    def _check(self, reply: bytes, is_complete: bool) -> None:
        """Raise what a reply says about the server."""
        if reply == _FULL:
            raise RedisLoginRefused("it has its maximum number of clients")
        code = reply.removeprefix(b"-").partition(b" ")[0]
        if reply.startswith(b"-") and code in _REASONS:
            raise RedisLoginRefused(_REASONS[code])

    def _auth(self) -> list[tuple[bytes, ...]]:
        if self.password is None:
            return []
        # Servers before Redis 6 know no users.
        return [(b"AUTH", self.user, self.password) if self.user else (b"AUTH", self.password)]

    def _select(self) -> list[tuple[bytes, ...]]:
        # RESET selects 0.
        return [(b"SELECT", b"%d" % self.database)] if self.database else []

    def _cleaning(self) -> list[tuple[bytes, ...]]:
        return [(b"RESET",), *self._auth(), *RESTORING, *self._select()]
