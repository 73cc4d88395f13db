"""The opening handshake (RFC 6455, section 4.2): checks the request, and makes the response."""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha1

import attrs

from phpgw.relay.connect import CONTROL, Refusal
from phpgw.web.handshake_request import HandshakeRequest
from phpgw.websocket.permessage_deflate import InvalidExtensions, deflate_offer

_KEY_BYTES = 16
# RFC 6455, section 1.3.
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\n"
    b"Server: phpgw\r\n"
    b"Upgrade: WebSocket\r\n"
    b"Connection: Upgrade"
)
_UPGRADE = ((b"Upgrade", b"websocket"), (b"Connection", b"Upgrade"))
# RFC 9110, section 5.6.2.
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@attrs.frozen
class OpeningHandshake:
    """A valid opening handshake.

    :ivar key: the value of Sec-WebSocket-Key.
    :ivar deflate: the offer of permessage-deflate that is accepted; ``None`` if there is none.
    :ivar subprotocols: the subprotocols that the browser offers.
    """

    key: bytes
    deflate: bytes | None
    subprotocols: tuple[str, ...]

    def response(self, subprotocol: str | None, set_cookies: Sequence[str]) -> bytes:
        """Return the response (RFC 6455, section 4.2.2) with this subprotocol and these cookies."""
        lines = [_SWITCHING, *(b"Set-Cookie: " + cookie.encode() for cookie in set_cookies)]
        if subprotocol is not None:
            lines.append(b"Sec-WebSocket-Protocol: " + subprotocol.encode())
        accept = b64encode(sha1(self.key + _GUID, usedforsecurity=False).digest())
        lines.append(b"Sec-WebSocket-Accept: " + accept)
        if self.deflate is not None:
            lines.append(b"Sec-WebSocket-Extensions: " + self.deflate)
        return b"\r\n".join(lines) + b"\r\n\r\n"


def read_opening(request: HandshakeRequest, compression: bool) -> OpeningHandshake:
    """Check the opening handshake and return it: RFC 6455, section 4.2.1.

    :param compression: whether permessage-deflate can be accepted. Otherwise, extensions are
        ignored.
    :raises Refusal: if the handshake is invalid.
    """
    _check_upgrade(request)
    for name, values in request.requestHeaders.getAllRawHeaders():
        if any(map(CONTROL.search, values)):
            raise Refusal(400, f"The header {name.decode('ascii')} has a control character in it.")
    return _read_offers(request, compression)


def read_printable_opening(request: HandshakeRequest, compression: bool) -> OpeningHandshake:
    """Do the same as :func:`read_opening`, for headers that are known to be printable ASCII."""
    _check_upgrade(request)
    return _read_offers(request, compression)


def _check_upgrade(request: HandshakeRequest) -> None:
    headers = request.requestHeaders
    if request.method != b"GET":
        raise Refusal(405, "A WebSocket handshake is a GET request.", [(b"Allow", b"GET")])
    if b"websocket" not in _tokens(request, b"Upgrade"):
        raise Refusal(
            426,
            "This address speaks WebSocket. Connect to it from a page's script: "
            "new WebSocket('ws://HOST:PORT/PATH')",
            _UPGRADE,
        )
    if request.clientproto != b"HTTP/1.1":
        raise Refusal(505, "A WebSocket handshake needs HTTP/1.1.")
    if b"upgrade" not in _tokens(request, b"Connection"):
        raise Refusal(
            400,
            "The Connection header does not say Upgrade. Is there a proxy in between that "
            "does not pass it on?",
        )
    if headers.getRawHeaders(b"Sec-WebSocket-Version") != [b"13"]:
        raise Refusal(
            426,
            "Sec-WebSocket-Version has to be 13.",
            [(b"Sec-WebSocket-Version", b"13"), *_UPGRADE],
        )
    has_length = request.getHeader(b"Content-Length") not in (None, b"0")
    if has_length or headers.hasHeader(b"Transfer-Encoding"):
        # Frames follow the header section. A proxy that expects a body could read them as one.
        raise Refusal(400, "A WebSocket handshake has no body.")


def _read_offers(request: HandshakeRequest, compression: bool) -> OpeningHandshake:
    headers = request.requestHeaders
    key = _read_key(headers.getRawHeaders(b"Sec-WebSocket-Key", ()))
    extensions = headers.getRawHeaders(b"Sec-WebSocket-Extensions", []) if compression else []
    try:
        deflate = deflate_offer(b", ".join(extensions)) if extensions else None
    except InvalidExtensions:
        raise Refusal(400, "Sec-WebSocket-Extensions has to be a list of extensions.") from None
    return OpeningHandshake(key, deflate, _read_subprotocols(request))


def _read_subprotocols(request: HandshakeRequest) -> tuple[str, ...]:
    """Return the offered subprotocols; refuse the handshake if one is no token, or not unique."""
    values = request.requestHeaders.getRawHeaders(b"Sec-WebSocket-Protocol", ())
    if not values:
        return ()
    names = [name.strip() for value in values for name in value.split(b",") if name.strip()]
    if not all(map(_TOKEN.fullmatch, names)) or len(set(names)) < len(names):
        raise Refusal(400, "Sec-WebSocket-Protocol has to be a list of names, each once.")
    return tuple(name.decode("ascii") for name in names)


def _tokens(request: HandshakeRequest, name: bytes) -> frozenset[bytes]:
    values = request.requestHeaders.getRawHeaders(name, ())
    return _split(values[0] if len(values) == 1 else b",".join(values))


# Nearly all clients send the same few values.
@lru_cache(maxsize=64)
def _split(value: bytes) -> frozenset[bytes]:
    return frozenset(token.strip().lower() for token in value.split(b","))


def _read_key(keys: Sequence[bytes]) -> bytes:
    """Return the only key, if it is valid: RFC 6455, section 4.2.1, item 5."""
    try:
        [key] = keys
        if len(b64decode(key, validate=True)) == _KEY_BYTES:
            return key
    except (ValueError, Base64Error):
        pass
    raise Refusal(400, "There has to be one Sec-WebSocket-Key, 16 bytes in base64.")
