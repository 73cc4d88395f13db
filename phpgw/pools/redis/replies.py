"""Replies that are awaited during login and cleaning."""

# A server that says more than this in all lines together is none of Redis.
_MAX_SIZE = 16384
_KINDS = b"+-:$"


class UnexpectedReply(Exception):
    """The server has sent what cannot be a reply to what was asked."""


class ExactReplies:
    """Replies that have to be these very bytes.

    :param expected: the bytes, one at least.
    """

    def __init__(self, expected: bytes) -> None:
        self._expected = memoryview(expected)

    def feed(self, data: bytes) -> bool:
        """Compare what has come; return whether that is all.

        :raises UnexpectedReply: at the first difference.
        """
        size = len(data)
        if self._expected[:size] != data:
            raise UnexpectedReply("it has sent something else")
        self._expected = self._expected[size:]
        return not self._expected


class ReplyLines:
    """Replies of one line each, or of one string without line ends.

    :param count: how many there are.
    :ivar replies: those that have come: a line without its end, or a string with all that belongs
        to it.
    """

    def __init__(self, count: int) -> None:
        self.replies: list[bytes] = []
        self._count = count
        self._size = 0
        self._rest = b""
        self._string = b""

    def feed(self, data: bytes) -> bool:
        """Take what has come; return whether that is all.

        :raises UnexpectedReply: if it is not in the form of replies, or too much.
        """
        self._size += len(data)
        if self._size > _MAX_SIZE:
            raise UnexpectedReply("it has sent too much")
        *lines, self._rest = (self._rest + data).split(b"\r\n")
        for line in lines:
            self._take(line)
        # What is no reply may have no line end at all.
        if self._rest and not self._string and self._rest[0] not in _KINDS:
            raise UnexpectedReply("it does not speak the protocol of Redis")
        if len(self.replies) > self._count or (len(self.replies) == self._count and self._rest):
            raise UnexpectedReply("it has sent more than was asked for")
        return len(self.replies) == self._count

    def _take(self, line: bytes) -> None:
        if self._string:
            self.replies.append(self._string + line + b"\r\n")
            self._string = b""
        elif not line or line[0] not in _KINDS:
            raise UnexpectedReply("it does not speak the protocol of Redis")
        elif line[:1] == b"$" and line != b"$-1":
            self._string = line + b"\r\n"
        else:
            self.replies.append(line)
