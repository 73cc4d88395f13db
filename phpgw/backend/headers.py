"""The headers that the gateway adds to events, and those of the browser that it passes on."""

import re
from collections.abc import Iterable
from functools import lru_cache

from phpgw.backend.errors import BackendBroken
from phpgw.backend.event import Handshake, Identity
from phpgw.backend.form import percent_encode

Header = tuple[bytes, bytes]

# Names that are reserved for the gateway. Some servers turn other characters into underscores.
_RESERVED = re.compile(rb"phpgw[^A-Za-z0-9]", re.IGNORECASE)
# All but printable ASCII, and the percent sign.
_UNSAFE = re.compile(rb"[^ -$&-~]+")


def encode_value(text: str) -> bytes:
    """Encode any text as a header's value, for PHP's ``rawurldecode()``.

    Percent-encode, in UTF-8, what a value cannot contain: control characters, characters outside
    ASCII, and spaces at both ends, which would be removed (RFC 9110, section 5.5).
    """
    data = text.encode()
    rest = data.lstrip(b" ")
    inner = rest.rstrip(b" ")
    return (
        b"%20" * (len(data) - len(rest))
        + _UNSAFE.sub(lambda run: percent_encode(run[0]), inner)
        + b"%20" * (len(rest) - len(inner))
    )


EVENT_ID = b"Phpgw-Event-Id"
"""The name of the header with the id of an event."""


def identity_headers(identity: Identity) -> list[Header]:
    """Return the headers of an identity."""
    headers = (
        (b"Phpgw-Client-Id", identity.client_id),
        (b"Phpgw-User", identity.user),
        (b"Phpgw-State", identity.state),
    )
    return [(name, encode_value(value)) for name, value in headers if value is not None]


@lru_cache(maxsize=16)
def event_headers(type_: str, is_binary: bool) -> tuple[Header, ...]:
    """Return the headers of a type of event."""
    return (
        (b"Phpgw-Event", encode_value(type_)),
        (b"Phpgw-Message-Type", b"binary" if is_binary else b"text"),
    )


def browser_headers(handshake: Handshake) -> list[Header]:
    """Return a handshake's headers without reserved ones, and with those of the gateway."""
    headers = [header for header in handshake.headers if not _RESERVED.match(header[0])]
    if handshake.is_cross_origin:
        headers.append((b"Phpgw-Cross-Origin", b"1"))
    return headers


def check_not_compressed(values: Iterable[bytes]) -> None:
    """Refuse a compressed reply, since no event asks for compression: RFC 9110, section 8.4.

    Its decompressed size would need a limit, and a streamed one could not be read line by line.

    :param values: the values of its Content-Encoding headers.
    :raises BackendBroken: if it is compressed.
    """
    for value in values:
        if value.strip().lower() not in (b"", b"identity"):
            coding = value.decode("latin-1")
            raise BackendBroken(
                f"PHP's reply is compressed (Content-Encoding: {coding!r}), though "
                "the gateway does not ask for it: turn it off in the script and its web server"
            )
