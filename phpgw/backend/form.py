"""An event as the form that PHP unpacks into ``$_POST``."""

import re
from binascii import hexlify
from functools import lru_cache

import attrs

from phpgw.backend.event import Event, Identity

# Everything but the unreserved characters of RFC 3986, section 2.3.
_RESERVED = re.compile(rb"[^A-Za-z0-9._~-]+")
_LONG = 16384


def percent_encode(data: bytes) -> bytes:
    """Every byte of it: RFC 3986, section 2.1."""
    return b"%" + hexlify(data, b"%") if data else b""


def _encode(data: bytes) -> bytes:
    """Percent-encode whatever bytes these are, without exception.

    Letters stay readable in a short text. For a long message that would cost a call for each run
    of reserved bytes, tens of milliseconds a megabyte, so there every byte is encoded at once.
    """
    if len(data) > _LONG:
        return percent_encode(data)
    return _RESERVED.sub(lambda run: percent_encode(run[0]), data)


@lru_cache(maxsize=16)
def _encode_type(type_: str) -> bytes:
    return _encode(type_.encode())


@attrs.frozen
class IdentityFields:
    """What the forms of all events of an identity have in common.

    :ivar client_id: the field's value.
    :ivar bound: the fields that PHP has given the client itself, each behind an ampersand.
    """

    client_id: bytes
    bound: bytes


def identity_fields(identity: Identity) -> IdentityFields:
    """Encode the fields that say who somebody is."""
    fields = ((b"user", identity.user), (b"state", identity.state))
    bound = [
        b"&%b=%b" % (name, _encode(value.encode())) for name, value in fields if value is not None
    ]
    return IdentityFields(_encode(identity.client_id.encode()), b"".join(bound))


def encode_form(event: Event, fields: IdentityFields) -> bytes:
    """The ``application/x-www-form-urlencoded`` body of an event.

    :param fields: those of its identity.
    """
    return b"type=%b&message=%b&client_id=%b%b%b" % (
        _encode_type(event.type),
        _encode(event.message),
        fields.client_id,
        b"" if event.code is None else b"&code=%d" % event.code,
        fields.bound,
    )
