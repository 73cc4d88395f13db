"""The fields of HTTP messages: those that pass, and those that are about one connection."""

from collections.abc import Iterable

import attrs

# RFC 9110, section 7.6.1, and what is made anew for the other connection: where a message ends, and
# who the server is.
_NOT_PASSED = frozenset(
    (
        b"connection",
        b"content-length",
        b"host",
        b"http2-settings",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"transfer-encoding",
        b"upgrade",
    )
)


def is_of_connection(name: bytes) -> bool:
    """Return whether a field is never passed on, whatever its value.

    :param name: in lower case.
    """
    return name in _NOT_PASSED


class Fields:
    """The fields of a head or of a trailer section, as a parser gives them.

    :ivar length: the value of Content-Length.
    :ivar coding: the value of Transfer-Encoding, in lower case.
    :ivar hosts: the values of Host.
    :ivar takes_trailers: whether the peer wants trailers (RFC 9110, section 6.5.1).
    :ivar keep_alive: the value of Keep-Alive.
    """

    __slots__ = (
        *("_options", "_passed"),
        *("coding", "hosts", "keep_alive", "length", "takes_trailers"),
    )

    def __init__(self) -> None:
        # In lower case, and the line.
        self._passed: list[tuple[bytes, bytes]] = []
        # The names in Connection: more fields that are about the connection.
        self._options: set[bytes] = set()
        self.length: bytes | None = None
        self.coding = b""
        self.hosts: list[bytes] = []
        self.takes_trailers = False
        self.keep_alive = b""

    def add(self, name: bytes, value: bytes) -> None:
        """Add a field."""
        value = value.rstrip(b" \t")
        known = name.lower()
        if known not in _NOT_PASSED:
            self._passed.append((known, b"%b: %b\r\n" % (name, value)))
        elif known == b"content-length":
            self.length = value
        elif known == b"transfer-encoding":
            self.coding = value.lower()
        elif known == b"connection":
            self._options.update(option.strip() for option in value.lower().split(b","))
        elif known == b"host":
            self.hosts.append(value)
        elif known == b"te":
            self.takes_trailers = b"trailers" in value.lower()
        elif known == b"keep-alive":
            self.keep_alive = value.lower()

    @property
    def closes(self) -> bool:
        """Return whether the sender closes the connection after the message."""
        return b"close" in self._options

    @property
    def names(self) -> Iterable[bytes]:
        """Return the names of the fields that may pass, in lower case."""
        return (name for name, _ in self._passed)

    def lines(self, replaced: frozenset[bytes] = frozenset()) -> bytes:
        """Return the lines of the fields that pass.

        :param replaced: the names of more fields that do not pass, in lower case.
        """
        if not (self._options or replaced):
            return b"".join([line for _, line in self._passed])
        dropped = self._options | replaced
        return b"".join([line for name, line in self._passed if name not in dropped])


@attrs.frozen
class AddedFields:
    """Fields that the pool adds to each request, and that PHP cannot set: API keys.

    :ivar lines: their lines.
    :ivar names: their names in lower case.
    """

    lines: bytes = attrs.field(default=b"", repr=False)
    names: frozenset[bytes] = frozenset()
