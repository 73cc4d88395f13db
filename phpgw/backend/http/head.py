"""The head of a response, gathered from its lines."""

from phpgw.backend.reply import Head

# Headers that are about the connection: they tell nothing of the script's reply.
_OF_CONNECTION = frozenset(
    (
        b"connection",
        b"content-length",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailers",
        b"transfer-encoding",
        b"upgrade",
    )
)


class HeadLines:
    """The lines of the head of a response, as the parser gives them.

    :ivar length: bytes of the body; ``None`` if no line tells.
    :ivar ends_with_connection: whether the end of the connection is that of the body.
    """

    __slots__ = ("_pairs", "ends_with_connection", "length")

    def __init__(self) -> None:
        self._pairs: list[tuple[bytes, bytes]] = []
        self.length: int | None = None
        self.ends_with_connection = True

    def add(self, name: bytes, value: bytes) -> None:
        """Add a line."""
        name = name.lower()
        if name not in _OF_CONNECTION:
            self._pairs.append((name, value.rstrip(b" \t")))
        elif name == b"content-length":
            # RFC 9112, section 6.3; the parser refuses what contradicts itself.
            self.length, self.ends_with_connection = int(value), False
        elif name == b"transfer-encoding":
            self.ends_with_connection = False

    def head(self, status: int) -> Head:
        """Return the head, without the lines that are about the connection."""
        return Head(status, tuple(self._pairs))
