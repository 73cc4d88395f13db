"""FastCGI records: encoding of requests, and decoding of replies, without input and output.

Sections are those of the FastCGI specification, version 1.0.
"""

from collections.abc import Iterable
from struct import Struct

import attrs

from phpgw.backend.errors import BackendBroken, ReplyTooLarge

# Section 8: the record types of a responder's requests and replies.
_BEGIN_REQUEST = 1
_END_REQUEST = 3
_PARAMS = 4
_STDIN = 5
_STDOUT = 6
_STDERR = 7
_GET_VALUES = 9
# Management records, with request id 0. Within a reply they are skipped.
_MANAGEMENT = frozenset((10, 11))

# Version, type, request id, content length, padding length: section 3.3.
_HEADER = Struct(">BBHHBx")
_HEADER_SIZE = _HEADER.size
# Lengths from here on take four bytes, marked by the first bit: section 3.4.
_LONG = 0x80
_LONG_LENGTH = Struct(">I")
# Application status and protocol status: section 5.5.
_END_BODY = Struct(">IB3x")

# There is one request on a connection: PHP-FPM does not multiplex.
_REQUEST_ID = 1
# The longest that PHP-FPM accepts, as a multiple of eight: see section 3.3.
_MAX_CONTENT = 0xFFF8

# Role 1, the responder; flag 1, FCGI_KEEP_CONN: section 5.1.
_BEGIN = _HEADER.pack(1, _BEGIN_REQUEST, _REQUEST_ID, 8, 0) + Struct(">HB5x").pack(1, 1)
_END_OF_PARAMS = _HEADER.pack(1, _PARAMS, _REQUEST_ID, 0, 0)
_END_OF_STDIN = _HEADER.pack(1, _STDIN, _REQUEST_ID, 0, 0)

# Records of a reply: an empty one of standard output, and the end of a script that has succeeded.
EMPTY_STDOUT = _HEADER.pack(1, _STDOUT, _REQUEST_ID, 0, 0)
END_OF_SUCCESS = _HEADER.pack(1, _END_REQUEST, _REQUEST_ID, 8, 0) + _END_BODY.pack(0, 0)


def encode_pair(name: bytes, value: bytes) -> bytes:
    """Encode a name-value pair: section 3.4."""
    if len(name) < _LONG and len(value) < _LONG:
        return bytes((len(name), len(value))) + name + value
    return _length(name) + _length(value) + name + value


def _length(data: bytes) -> bytes:
    size = len(data)
    return bytes((size,)) if size < _LONG else _LONG_LENGTH.pack(0x80000000 | size)


# A query for a value (section 4.1). A worker replies to it between requests, so its reply shows
# that there is an idle worker; which value it is does not matter.
_VALUE = encode_pair(b"FCGI_MPXS_CONNS", b"")
GET_VALUES = _HEADER.pack(1, _GET_VALUES, 0, len(_VALUE), 0) + _VALUE


def strip_values_result(data: bytes) -> bytes | None:
    """Return what follows the reply to :data:`GET_VALUES`; ``None`` while that is incomplete.

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
    """Encoded pairs that many requests share.

    :ivar records: complete records.
    :ivar rest: the pairs of one more record, which is not full.
    """

    records: bytes
    rest: bytes


def encode_params(pairs: Iterable[tuple[bytes, bytes]]) -> Params:
    """Encode pairs, each within one record if it fits into one, as PHP-FPM expects."""
    records = rest = b""
    for name, value in pairs:
        pair = encode_pair(name, value)
        if rest and len(rest) + len(pair) > _MAX_CONTENT:
            records += _stream(_PARAMS, rest)
            rest = b""
        rest += pair
    return Params(records, rest)


def encode_request(params: Params, pairs: bytes, body: bytes) -> bytes:
    """Return all records of a request: section 6.2.

    :param pairs: encoded pairs of this request alone.
    """
    last = params.rest + pairs
    if 0 < len(last) <= _MAX_CONTENT and 0 < len(body) <= _MAX_CONTENT:
        # The common case: the same as below, faster.
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
            _stream(_PARAMS, pairs),
            _END_OF_PARAMS,
            _stream(_STDIN, body),
            _END_OF_STDIN,
        )
    )


def _stream(kind: int, data: bytes) -> bytes:
    """Return a stream's records (section 3.3), without the empty one at its end."""
    parts: list[bytes] = []
    for start in range(0, len(data), _MAX_CONTENT):
        content = data[start : start + _MAX_CONTENT]
        parts += (_HEADER.pack(1, kind, _REQUEST_ID, len(content), 0), content)
    return b"".join(parts)


class FastCgiDecoder:
    """Decodes the reply to one request, in pieces of any size.

    :param limit: bytes of standard output that are kept until they are taken.
    :ivar app_status: the script's exit status, from END_REQUEST.
    :ivar protocol_status: whether the request was served, from END_REQUEST: 0 if it was.
    :ivar is_followed: whether something came after the end of the reply, which is an error.
    :ivar errors: standard error, until it is taken.
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
        # The part of an incomplete record that has been received, and how many bytes are missing.
        self._pending: list[bytes] = []
        self._missing = 0
        self._output = bytearray()
        self.errors: list[bytes] = []

    @property
    def output(self) -> bytes:
        """Return a copy of standard output, until it is taken."""
        return bytes(self._output)

    @property
    def growing_output(self) -> bytearray:
        """Return standard output itself, which grows."""
        return self._output

    def take_output(self) -> bytes:
        """Return and forget standard output since the last call."""
        output, self._output = self.output, bytearray()
        self._left = self._limit
        return output

    def take_errors(self) -> bytes:
        """Return and forget standard error since the last call."""
        errors, self.errors = b"".join(self.errors), []
        return errors

    def receive(self, data: bytes) -> bool:
        """Decode data.

        :returns: whether the reply is complete.
        :raises BackendBroken: if it is not valid FastCGI.
        :raises ReplyTooLarge: if standard output is longer than allowed.
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
                raise BackendBroken("PHP's reply is not FastCGI")
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
                    raise BackendBroken("PHP's reply ends with a record of the wrong size")
                self.app_status, self.protocol_status = _END_BODY.unpack_from(data, start)
                self.is_followed = position < size
                return True
            elif kind == _STDERR:
                self.errors.append(data[start:end])
            elif kind not in _MANAGEMENT:
                raise BackendBroken(f"PHP's reply has a record of type {kind} in it")
        if position < size:
            self._pending.append(data[position:])
            self._missing -= size - position
        return False
