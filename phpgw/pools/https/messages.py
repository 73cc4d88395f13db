"""The heads of requests and responses, read from one side and written for the other."""

import re

import attrs

from phpgw.pools.https.fields import AddedFields, Fields

# RFC 9112, section 3.2.2.
_ABSOLUTE_FORM = re.compile(rb"https?://([^/?#]*)(/.*|)", re.IGNORECASE | re.DOTALL)
# A connection is not used any more this many seconds before its server closes it.
_KEEP_ALIVE_MARGIN = 1
_KEEP_ALIVE_TIMEOUT = re.compile(rb"(?:^|[,; ])timeout=([0-9]{1,6})(?:$|[,; ])")
# RFC 9110, sections 15.3.5 and 15.4.5.
_NO_CONTENT = 204
_NOT_MODIFIED = 304
_NO_BODY = (_NO_CONTENT, _NOT_MODIFIED)

LAST_CHUNK = b"0\r\n"


def encode_chunk(data: bytes) -> bytes:
    """Return a piece of a body as a chunk: RFC 9112, section 7.1."""
    return b"%x\r\n%b\r\n" % (len(data), data)


@attrs.define
class ApiRequestHead:
    """The head of a request of PHP.

    :ivar version: of HTTP: ``"1.0"`` or ``"1.1"``.
    """

    method: bytes
    target: bytes
    version: str
    fields: Fields

    @property
    def is_chunked(self) -> bool:
        """Return whether the body comes in chunks."""
        return bool(self.fields.coding)

    @property
    def has_body(self) -> bool:
        """Return whether a body follows."""
        return self.is_chunked or self.fields.length not in (None, b"0")

    def split_target(self) -> tuple[bytes | None, bytes]:
        """Return the host and port of a target in absolute form, and the target without them."""
        match = _ABSOLUTE_FORM.fullmatch(self.target)
        if match is None:
            return None, self.target
        return match[1].lower(), match[2] or b"/"

    def encode(self, target: bytes, host: bytes, added: AddedFields) -> bytes:
        """Return the head of the request to the server.

        :param host: the server's own, with its port if that is not the usual one.
        """
        fields = self.fields
        framing = b""
        if self.is_chunked:
            framing = b"Transfer-Encoding: chunked\r\n"
        elif fields.length is not None:
            framing = b"Content-Length: %b\r\n" % fields.length
        if fields.takes_trailers:
            framing += b"TE: trailers\r\nConnection: TE\r\n"
        return b"%b %b HTTP/1.1\r\nHost: %b\r\n%b%b%b\r\n" % (
            *(self.method, target, host),
            *(fields.lines(added.names), added.lines, framing),
        )


@attrs.define
class ApiResponseHead:
    """The head of a response of the server.

    :ivar version: of HTTP, like ``"1.1"``.
    """

    status: int
    reason: bytes
    version: str
    fields: Fields

    def has_body(self, method: bytes) -> bool:
        """Return whether a body follows, in a response to a request with this method."""
        return method != b"HEAD" and self.status not in _NO_BODY

    @property
    def is_persistent(self) -> bool:
        """Return whether the connection can have another request: RFC 9112, section 9.3."""
        return self.version == "1.1" and not self.fields.closes

    @property
    def seconds_kept(self) -> float | None:
        """Return for how long the idle connection can be used; ``None`` if that is not known.

        Servers tell it in ``Keep-Alive: timeout=5``.
        """
        match = _KEEP_ALIVE_TIMEOUT.search(self.fields.keep_alive)
        return None if match is None else int(match[1]) - _KEEP_ALIVE_MARGIN

    def encode(self, *, is_chunked: bool = False, is_last: bool = False) -> bytes:
        """Return the head of the response to PHP.

        :param is_chunked: whether the body is sent in chunks.
        :param is_last: whether PHP's connection is closed after it.
        """
        fields = self.fields
        framing = b""
        if is_chunked:
            framing = b"Transfer-Encoding: chunked\r\n"
        elif fields.length is not None and self.status != _NO_CONTENT:
            framing = b"Content-Length: %b\r\n" % fields.length
        if is_last:
            framing += b"Connection: close\r\n"
        return b"HTTP/1.1 %d %b\r\n%b%b\r\n" % (self.status, self.reason, fields.lines(), framing)
