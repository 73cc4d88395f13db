"""Negotiation of permessage-deflate: RFC 7692, section 7.1."""

import re
from functools import lru_cache

_DEFLATE = "permessage-deflate"
_WINDOW_BITS = frozenset(map(str, range(8, 16)))
# zlib cannot deflate with a window of 8 bits, and the server must not use a larger one than the
# client asks for (section 7.1.2.1).
_SERVER_WINDOW_BITS = _WINDOW_BITS - {"8"}
_TOKEN = r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)"
_BLANK = r"[ \t]*"
# Nothing after the semicolon is allowed: some clients end their offers with a semicolon.
_PARAMETER = re.compile(
    rf';{_BLANK}(?:{_TOKEN}{_BLANK}(?:={_BLANK}(?:{_TOKEN}|"{_TOKEN}"){_BLANK})?)?'
)
_EXTENSION = re.compile(rf"{_BLANK}{_TOKEN}{_BLANK}((?:{_PARAMETER.pattern})*)")


class InvalidExtensions(ValueError):
    """Sec-WebSocket-Extensions is malformed: RFC 6455, section 9.1."""


# All visitors with the same browser send the same.
@lru_cache(maxsize=64)
def deflate_offer(header: bytes) -> bytes | None:
    """Return the first acceptable offer of permessage-deflate; ``None`` if there is none.

    :param header: the value of Sec-WebSocket-Extensions.
    :returns: the offer with only the parameters that the response needs. It is also what the
        response has to contain.
    :raises InvalidExtensions: if the header is malformed.
    """
    offers = [
        _parse_extension(each) for each in header.decode("latin-1").split(",") if each.strip(" \t")
    ]
    for name, parameters in offers:
        offer = _accept(parameters) if name == _DEFLATE else None
        if offer is not None:
            return offer
    return None


def _parse_extension(extension: str) -> tuple[str, list[tuple[str, str]]]:
    """Return the name of an extension, and its parameters with their values (perhaps empty)."""
    match = _EXTENSION.fullmatch(extension)
    if match is None:
        raise InvalidExtensions
    return match[1].lower(), [
        (name.lower(), bare or quoted)
        for name, bare, quoted in _PARAMETER.findall(match[2])
        if name
    ]


def _accept(parameters: list[tuple[str, str]]) -> bytes | None:
    """Return the offer as it is accepted; ``None`` if it must be declined."""
    offer = [_DEFLATE]
    if len(dict(parameters)) < len(parameters):
        return None
    for parameter in parameters:
        match parameter:
            case "server_no_context_takeover", "":
                offer.insert(1, "server_no_context_takeover")
            case "server_max_window_bits", bits if bits in _SERVER_WINDOW_BITS:
                offer.append(f"server_max_window_bits={bits}")
            case "client_no_context_takeover", "":
                pass
            case "client_max_window_bits", bits if not bits or bits in _WINDOW_BITS:
                pass
            case _:
                return None
    return "; ".join(offer).encode()
