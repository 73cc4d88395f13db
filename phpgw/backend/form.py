"""An event as the form that PHP unpacks into ``$_POST``."""

import re
from binascii import hexlify

from phpgw.backend import Event

# Everything but the unreserved characters of RFC 3986, section 2.3.
_RESERVED = re.compile(rb"[^A-Za-z0-9._~-]+")
_LONG = 16384


def _percent_encode(data: bytes) -> bytes:
    return b"%" + hexlify(data, b"%")


def _encode(data: bytes) -> bytes:
    """Percent-encode (RFC 3986, section 2.1) whatever bytes these are, without exception.

    Letters stay readable in a short text. For a long message that would cost a call for each run
    of reserved bytes, tens of milliseconds a megabyte, so there every byte is encoded at once.
    """
    if len(data) > _LONG:
        return _percent_encode(data)
    return _RESERVED.sub(lambda run: _percent_encode(run[0]), data)


def encode_form(event: Event) -> bytes:
    """The ``application/x-www-form-urlencoded`` body of an event."""
    return b"type=%b&message=%b&client_id=%b" % (
        _encode(event.type.encode()),
        _encode(event.message),
        _encode(event.client_id.encode()),
    )
