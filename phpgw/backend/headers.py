"""The gateway's own headers, and which of a browser's may stand beside them."""

import re
from collections.abc import Iterable
from functools import lru_cache

from phpgw.backend.errors import BackendBroken
from phpgw.backend.event import Handshake, Identity
from phpgw.backend.form import percent_encode

Header = tuple[bytes, bytes]

# Names that are ours, also as PHP sees them: some servers make underscores of other characters.
_OURS = re.compile(rb"phpgw[^A-Za-z0-9]", re.IGNORECASE)
# All but printable ASCII, and the percent sign.
_UNSAFE = re.compile(rb"[^ -$&-~]+")


def encode_value(text: str) -> bytes:
    """Make a header's value of any text; PHP's ``rawurldecode()`` undoes it.

    What cannot stand in a value as it is is percent-encoded in UTF-8: control characters, what is
    not ASCII, and blanks at the ends, which would get lost (RFC 9110, section 5.5).
    """
    data = text.encode()
    rest = data.lstrip(b" ")
    inner = rest.rstrip(b" ")
    return (
        b"%20" * (len(data) - len(rest))
        + _UNSAFE.sub(lambda run: percent_encode(run[0]), inner)
        + b"%20" * (len(rest) - len(inner))
    )


def identity_headers(identity: Identity) -> list[Header]:
    """Those that say who somebody is."""
    headers = (
        (b"Phpgw-Client-Id", identity.client_id),
        (b"Phpgw-User", identity.user),
        (b"Phpgw-State", identity.state),
    )
    return [(name, encode_value(value)) for name, value in headers if value is not None]


@lru_cache(maxsize=16)
def event_headers(type_: str, is_binary: bool) -> tuple[Header, ...]:
    """Those that say what kind of event it is."""
    return (
        (b"Phpgw-Event", encode_value(type_)),
        (b"Phpgw-Message-Type", b"binary" if is_binary else b"text"),
    )


def browser_headers(handshake: Handshake) -> list[Header]:
    """Return the headers of a handshake, with the gateway's own in place of a browser's Phpgw-."""
    headers = [header for header in handshake.headers if not _OURS.match(header[0])]
    if handshake.is_cross_origin:
        headers.append((b"Phpgw-Cross-Origin", b"1"))
    return headers


def check_not_compressed(values: Iterable[bytes]) -> None:
    """Refuse an answer that is compressed, since no event asks for that: RFC 9110, section 8.4.

    What it inflates to would have to be limited, and a streamed one could not be read line by line.

    :param values: those of its Content-Encoding headers.
    :raises BackendBroken: if it is.
    """
    for value in values:
        if value.strip().lower() not in (b"", b"identity"):
            coding = value.decode("latin-1")
            raise BackendBroken(
                f"PHP's answer is compressed (Content-Encoding: {coding!r}), though nobody asked "
                "for it: let neither the script nor its web server do that"
            )
