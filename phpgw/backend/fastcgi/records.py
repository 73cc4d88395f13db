"""FastCGI records, as the side that asks writes and reads them: on bytes, without a connection.

Sections are those of the FastCGI specification, version 1.0.
"""

from collections.abc import Iterable
from struct import Struct

import attrs

from phpgw.backend.errors import BackendBroken, ReplyTooLarge

# Section 8: the record types that go to and fro when a responder answers.
_BEGIN_REQUEST = 1
_END_REQUEST = 3
_PARAMS = 4
_STDIN = 5
_STDOUT = 6
_STDERR = 7
_GET_VALUES = 9
# What PHP says about itself under request id 0; within an answer it is passed over.
_MANAGEMENT = frozenset((10, 11))

# Version, type, request id, content length, padding length: section 3.3.
_HEADER = Struct(">BBHHBx")
_HEADER_SIZE = _HEADER.size
# Lengths of pairs from here on take four bytes, marked by the first bit: section 3.4.
_LONG = 0x80
_LONG_LENGTH = Struct(">I")
# Application status and protocol status: section 5.5.
_END_BODY = Struct(">IB3x")

# The only request of its connection: PHP-FPM does not multiplex.
_REQUEST_ID = 1
# As long as PHP-FPM takes them, and a multiple of eight as section 3.3 wants it.
_MAX_CONTENT = 0xFFF8

# Role 1, the responder; flag 1, FCGI_KEEP_CONN: section 5.1.
_BEGIN = _HEADER.pack(1, _BEGIN_REQUEST, _REQUEST_ID, 8, 0) + Struct(">HB5x").pack(1, 1)
_END_OF_PARAMS = _HEADER.pack(1, _PARAMS, _REQUEST_ID, 0, 0)
_END_OF_STDIN = _HEADER.pack(1, _STDIN, _REQUEST_ID, 0, 0)


def encode_pair(name: bytes, value: bytes) -> bytes:
    """A name-value pair: section 3.4."""
    if len(name) < _LONG and len(value) < _LONG:
        return bytes((len(name), len(value))) + name + value
    return _length(name) + _length(value) + name + value


def _length(data: bytes) -> bytes:
    size = len(data)
    return bytes((size,)) if size < _LONG else _LONG_LENGTH.pack(0x80000000 | size)


# Asks for a value that PHP knows (section 4.1). A worker answers in between requests, so that its
# answer says that one is there and free; which value it is does not matter.
_VALUE = encode_pair(b"FCGI_MPXS_CONNS", b"")
GET_VALUES = _HEADER.pack(1, _GET_VALUES, 0, len(_VALUE), 0) + _VALUE


def after_values(data: bytes) -> bytes | None:
    """Return what follows the answer to :data:`GET_VALUES`; ``None`` while that is incomplete.

    :raises BackendBroken: if it is something else.
    """
    if len(data) < _HEADER_SIZE and data[:1] in (b"", b"\x01"):
        return None
    if len(data) >= _HEADER_SIZE:
        version, kind, request_id, length, padding = _HEADER.unpack_from(data)
        if version == 1 and kind in _MANAGEMENT and not request_id:
            end = _HEADER_SIZE + length + padding
            return data[end:] if len(data) >= end else None
    raise BackendBroken("what listens there does not speak FastCGI")


@attrs.frozen
class Params:
    """Encoded pairs that many requests have in common.

    :ivar records: those that fill whole records.
    :ivar rest: the others, for one more record.
    """

    records: bytes
    rest: bytes


def encode_params(pairs: Iterable[tuple[bytes, bytes]]) -> Params:
    """Encode pairs, none of them across two records if it fits into one: PHP-FPM wants it so."""
    records = rest = b""
    for name, value in pairs:
        pair = encode_pair(name, value)
        if rest and len(rest) + len(pair) > _MAX_CONTENT:
            records += _stream(_PARAMS, rest)
            rest = b""
        rest += pair
    return Params(records, rest)


def encode_request(params: Params, own: bytes, body: bytes) -> bytes:
    """All records of a request: section 6.2.

    :param own: encoded pairs of this request alone.
    """
    last = params.rest + own
    if 0 < len(last) <= _MAX_CONTENT and 0 < len(body) <= _MAX_CONTENT:
        # What is done below, in one go.
        return b"".join(
            (
                _BEGIN,
                params.records,
                _HEADER.pack(1, _PARAMS, _REQUEST_ID, len(last), 0),
                last,
                _END_OF_PARAMS,
                _HEADER.pack(1, _STDIN, _REQUEST_ID, len(body), 0),
                body,
                _END_OF_STDIN,
            )
        )
    return b"".join(
        (
            _BEGIN,
            params.records,
            _stream(_PARAMS, params.rest),
            _stream(_PARAMS, own),
            _END_OF_PARAMS,
            _stream(_STDIN, body),
            _END_OF_STDIN,
        )
    )


def _stream(kind: int, data: bytes) -> bytes:
    """A stream's data as records (section 3.3), without the empty one at its end."""
    parts: list[bytes] = []
    for start in range(0, len(data), _MAX_CONTENT):
        content = data[start : start + _MAX_CONTENT]
        parts += (_HEADER.pack(1, kind, _REQUEST_ID, len(content), 0), content)
    return b"".join(parts)


class Decoder:
    """Reads the answer to one request, in pieces of any size.

    :param limit: bytes of standard output that are kept until they are taken.
    :ivar app_status: what the script's process would have exited with; from END_REQUEST.
    :ivar protocol_status: whether the request was served at all; likewise.
    :ivar is_followed: whether there was more behind the answer, which makes no sense.
    :ivar errors: what came on standard error, until it is taken.
    """

    __slots__ = (
        "_left",
        "_limit",
        "_missing",
        "_output",
        "_pending",
        "app_status",
        "errors",
        "is_followed",
        "protocol_status",
    )

    def __init__(self, limit: int) -> None:
        self.app_status = 0
        self.protocol_status = 0
        self.is_followed = False
        self._limit = self._left = limit
        # What there is of a record that has come in part, and how much more makes it one.
        self._pending: list[bytes] = []
        self._missing = 0
        self._output = bytearray()
        self.errors: list[bytes] = []

    @property
    def output(self) -> bytes:
        """What came on standard output, until it is taken."""
        return bytes(self._output)

    @property
    def growing_output(self) -> bytearray:
        """The same, not copied: it goes on to grow."""
        return self._output

    def take_output(self) -> bytes:
        """What came on standard output since the last call."""
        output, self._output = self.output, bytearray()
        self._left = self._limit
        return output

    def take_errors(self) -> bytes:
        """What came on standard error since the last call."""
        errors, self.errors = b"".join(self.errors), []
        return errors

    def receive(self, data: bytes) -> bool:
        """Take what came in.

        :returns: whether the answer is complete.
        :raises BackendBroken: if it makes no sense.
        :raises ReplyTooLarge: if it is longer than allowed.
        """
        if self._pending:
            self._pending.append(data)
            self._missing -= len(data)
            if self._missing > 0:
                return False
            data = b"".join(self._pending)
            self._pending.clear()
        self._missing = _HEADER_SIZE
        position, size = 0, len(data)
        while size - position >= _HEADER_SIZE:
            version, kind, request_id, length, padding = _HEADER.unpack_from(data, position)
            start = position + _HEADER_SIZE
            end = start + length
            if version != 1 or request_id != (kind not in _MANAGEMENT):
                raise BackendBroken("PHP's answer is not FastCGI")
            if end + padding > size:
                self._missing = end + padding - position
                break
            position = end + padding
            if kind == _STDOUT:
                self._left -= length
                if self._left < 0:
                    raise ReplyTooLarge("PHP's reply is larger than what is taken")
                self._output += data[start:end]
            elif kind == _END_REQUEST:
                if length != _END_BODY.size:
                    raise BackendBroken("PHP's answer ends with a record of the wrong size")
                self.app_status, self.protocol_status = _END_BODY.unpack_from(data, start)
                self.is_followed = position < size
                return True
            elif kind == _STDERR:
                self.errors.append(data[start:end])
            elif kind not in _MANAGEMENT:
                raise BackendBroken(f"PHP's answer has a record of type {kind} in it")
        if position < size:
            self._pending.append(data[position:])
            self._missing -= size - position
        return False
