"""The cleaning of a connection between two users, and the proof that it is clean."""

import attrs

# States that RESET leaves as they are in some versions, each with the command that ends it. Redis
# 7.0 leaves the first one, 7.2 and later the names of the library.
RESTORING: tuple[tuple[bytes, ...], ...] = (
    (b"CLIENT", b"NO-EVICT", b"OFF"),
    (b"CLIENT", b"NO-TOUCH", b"OFF"),
    (b"CLIENT", b"SETINFO", b"LIB-NAME", b""),
    (b"CLIENT", b"SETINFO", b"LIB-VER", b""),
)


@attrs.frozen
class RedisCleaning:
    """The requests that clean a connection, and the replies that the server has to give.

    The requests are sent in one piece. The replies are compared as they come, byte by byte: if
    anything else is in them, such as a late reply to the user before, the connection is closed. The
    last reply has a number in it that nobody could know.

    :ivar requests: all but the last one.
    :ivar replies: the replies to them.
    :ivar covers_all_users: whether the pool's user may end each state that any user can begin.
    """

    # The requests contain the password.
    requests: bytes = attrs.field(repr=False)
    replies: bytes
    covers_all_users: bool

    def with_nonce(self, nonce: bytes) -> tuple[bytes, bytes]:
        """Return all requests, and the replies to them.

        :param nonce: letters and digits that were never used before.
        """
        return self.requests + request(b"ECHO", nonce), self.replies + bulk(nonce)


def request(*words: bytes) -> bytes:
    """Return a request in RESP."""
    return b"*%d\r\n%b" % (len(words), b"".join(map(bulk, words)))


def bulk(data: bytes) -> bytes:
    """Return a string in RESP."""
    return b"$%d\r\n%b\r\n" % (len(data), data)
