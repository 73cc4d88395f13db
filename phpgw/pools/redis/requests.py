"""Follows the requests of PHP in what passes, in RESP, without keeping them."""

from collections.abc import Callable

# The line before a request, or before one of its words: *3, $1234567890.
_MAX_LINE = 16
# Longer first words are names of no command.
_MAX_NAME = 32

# An element that one of these takes from a list would be lost if PHP is gone, and the server
# does not notice that as long as its connection is kept.
_BLOCKING = frozenset(
    (
        *(b"BLPOP", b"BRPOP", b"BRPOPLPUSH", b"BLMOVE", b"BLMPOP"),
        *(b"BZPOPMIN", b"BZPOPMAX", b"BZMPOP", b"XREAD", b"XREADGROUP", b"WAIT", b"WAITAOF"),
    )
)
# They make the connection that of a replica, of an onlooker, or of the debugger of scripts, which
# RESET does not end.
_UNCLEANABLE = frozenset((b"MONITOR", b"SYNC", b"PSYNC", b"REPLCONF", b"SCRIPT"))
# Of the commands CLIENT ..., those whose effects a cleaning ends, or that have none on their own
# connection. Valkey's CLIENT CAPA is none of them.
_CLEANABLE_CLIENT = frozenset(
    (
        *(b"CACHING", b"GETNAME", b"GETREDIR", b"HELP", b"ID", b"INFO", b"KILL", b"LIST"),
        *(b"NO-EVICT", b"NO-TOUCH", b"PAUSE", b"REPLY", b"SETINFO", b"SETNAME", b"TRACKING"),
        *(b"TRACKINGINFO", b"UNBLOCK", b"UNPAUSE"),
    )
)
# With them PHP may become another user.
_LOGINS = frozenset((b"AUTH", b"HELLO"))


class RequestObserver:
    """Notes of PHP's requests what decides whether their connection can be cleaned.

    :ivar has_blocked: whether there was a command that may wait for other clients.
    :ivar was_uncleanable: whether there was a command whose effect no cleaning ends.
    :ivar has_logged_in: whether there was a command that may change the user.
    """

    def __init__(self) -> None:
        self.has_blocked = self.was_uncleanable = self.has_logged_in = False
        # Bytes of a word, and of its line end, that are yet to come.
        self._skipped = 0
        # Words of the request that are yet to come.
        self._words = 0
        # Is called with the next word of the request, in capitals; without it if it is too long.
        self._take_word: Callable[[bytes], None] | None = None
        # The beginning of a line, or of a name.
        self._rest = b""
        self._is_readable = True

    @property
    def is_between_requests(self) -> bool:
        """Return whether all requests are complete, and were written in the form of clients.

        What is sent next would otherwise be taken for a part of an incomplete request.
        """
        return self._is_readable and not (self._skipped or self._words or self._rest)

    def feed(self, data: bytes) -> None:
        """Note what PHP has sent."""
        if not self._is_readable:
            return
        if self._rest:
            data, self._rest = self._rest + data, b""
        position, size = 0, len(data)
        while position < size:
            if self._skipped:
                step = min(self._skipped, size - position)
                self._skipped -= step
                position += step
                continue
            end = data.find(b"\r\n", position, position + _MAX_LINE)
            if end < 0:
                # A line that is too long is none of a client's.
                self._is_readable = size - position < _MAX_LINE
                self._rest = data[position:]
                return
            number = _number(data[position + 1 : end])
            if number is None or data[position] != (0x24 if self._words else 0x2A):
                self._is_readable = False
                return
            if not self._words:
                if number == 0:
                    # A request without words has no reply.
                    self._is_readable = False
                    return
                self._words, self._take_word = number, self._take_name
            else:
                take, self._take_word = self._take_word, None
                if take is not None:
                    if number <= _MAX_NAME and size < end + 2 + number:
                        self._take_word = take
                        self._rest = data[position:]
                        return
                    word = data[end + 2 : end + 2 + number] if number <= _MAX_NAME else b""
                    take(word.upper())
                # The word, and the end of its line.
                self._skipped = number + 2
                self._words -= 1
            position = end + 2

    def _take_name(self, name: bytes) -> None:
        self.has_blocked |= name in _BLOCKING
        self.was_uncleanable |= name in _UNCLEANABLE
        self.has_logged_in |= name in _LOGINS
        if name == b"CLIENT":
            self._take_word = self._take_client_word

    def _take_client_word(self, word: bytes) -> None:
        self.was_uncleanable |= word not in _CLEANABLE_CLIENT


def _number(text: bytes) -> int | None:
    """Return a number as clients write it; ``None`` if it is none."""
    if not text.isdigit() or (text[0] == 0x30 and len(text) > 1):
        return None
    return int(text)
