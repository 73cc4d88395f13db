"""Which of a browser's offers of permessage-deflate is taken up: RFC 7692, section 7.1."""

import re

_DEFLATE = "permessage-deflate"
_BITS = frozenset(map(str, range(8, 16)))
# zlib cannot deflate with a window of 8 bits, and a larger one than was asked for is not allowed
# (section 7.1.2.1).
_OUR_BITS = _BITS - {"8"}
_TOKEN = r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)"
_BLANK = r"[ \t]*"
# With nothing behind its semicolon it says nothing: some clients end their offers with one.
_PARAMETER = re.compile(
    rf';{_BLANK}(?:{_TOKEN}{_BLANK}(?:={_BLANK}(?:{_TOKEN}|"{_TOKEN}"){_BLANK})?)?'
)
_EXTENSION = re.compile(rf"{_BLANK}{_TOKEN}{_BLANK}((?:{_PARAMETER.pattern})*)")


class InvalidExtensions(ValueError):
    """The header does not follow the grammar: RFC 6455, section 9.1."""


def deflate_offer(header: bytes) -> bytes | None:
    """The first acceptable offer, without what the answer has no use for; ``None`` if none is.

    :param header: the value of Sec-WebSocket-Extensions.
    :raises InvalidExtensions: if there is anything wrong with its form.
    """
    offers = [_read(each) for each in header.decode("latin-1").split(",") if each.strip(" \t")]
    for name, parameters in offers:
        offer = _acceptable(parameters) if name == _DEFLATE else None
        if offer is not None:
            return offer
    return None


def _read(extension: str) -> tuple[str, list[tuple[str, str]]]:
    """An extension's name, and its parameters with their values, which may be empty."""
    match = _EXTENSION.fullmatch(extension)
    if match is None:
        raise InvalidExtensions
    return match[1].lower(), [
        (name.lower(), bare or quoted)
        for name, bare, quoted in _PARAMETER.findall(match[2])
        if name
    ]


def _acceptable(parameters: list[tuple[str, str]]) -> bytes | None:
    """The offer as it is taken up; ``None`` for one that has to be declined."""
    offer = [_DEFLATE]
    if len(dict(parameters)) < len(parameters):
        return None
    for parameter in parameters:
        match parameter:
            case "server_no_context_takeover", "":
                offer.append("server_no_context_takeover")
            case "server_max_window_bits", bits if bits in _OUR_BITS:
                offer.append(f"server_max_window_bits={bits}")
            case "client_no_context_takeover", "":
                pass
            case "client_max_window_bits", bits if not bits or bits in _BITS:
                pass
            case _:
                return None
    return "; ".join(offer).encode()
