"""The opening handshake of a client: RFC 6455, section 4.1."""

import re
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha1

import attrs

from phpgw import __version__
from phpgw.outgoing.headers import Header
from phpgw.settings.outgoing_url import ServerUrl

MAX_RESPONSE_SIZE = 16_384
KEY_BYTES = 16
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_STATUS = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2})(?: .*)?")
_SWITCHING_PROTOCOLS = 101


class HandshakeFailed(Exception):
    """The server has not accepted the handshake. The text says why."""


@attrs.frozen
class OpeningRequest:
    """The request that opens a connection.

    :ivar key: the random key, in base64.
    :ivar subprotocols: those that are offered.
    """

    url: ServerUrl
    key: bytes
    subprotocols: Sequence[str] = ()
    headers: Sequence[Header] = attrs.field(default=(), repr=False)

    def encode(self) -> bytes:
        """Return the bytes of the request."""
        lines = [
            f"GET {self.url.resource} HTTP/1.1",
            f"Host: {self.url.host_header}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {self.key.decode('ascii')}",
            "Sec-WebSocket-Version: 13",
        ]
        if self.subprotocols:
            lines.append(f"Sec-WebSocket-Protocol: {', '.join(self.subprotocols)}")
        if all(name.lower() != "user-agent" for name, _ in self.headers):
            lines.append(f"User-Agent: phpgw/{__version__}")
        lines += [f"{name}: {value}" for name, value in self.headers]
        return "\r\n".join((*lines, "", "")).encode("ascii")

    def check(self, head: bytes) -> str:
        """Check a response.

        :param head: the status line and the headers, without the empty line behind them.
        :returns: the subprotocol that the server has chosen; empty for none.
        :raises HandshakeFailed: if the server has not accepted the handshake as it must.
        """
        status_line, *lines = head.split(b"\r\n")
        status = _STATUS.fullmatch(status_line)
        if status is None:
            raise HandshakeFailed("the server does not answer in HTTP/1.1")
        if int(status[1]) != _SWITCHING_PROTOCOLS:
            raise HandshakeFailed(_refusal(int(status[1])))
        headers = _parse(lines)
        if _only(headers, b"upgrade").lower() != b"websocket":
            raise HandshakeFailed("the server's response has no Upgrade: websocket")
        options = b",".join(headers.get(b"connection", ())).lower().split(b",")
        if b"upgrade" not in map(bytes.strip, options):
            raise HandshakeFailed("the server's response has no Connection: Upgrade")
        if _only(headers, b"sec-websocket-accept") != accept_of(self.key):
            raise HandshakeFailed("the server's response is not for this handshake")
        if b"sec-websocket-extensions" in headers:
            raise HandshakeFailed("the server uses an extension that was not offered")
        if b"sec-websocket-protocol" not in headers:
            return ""
        chosen = _only(headers, b"sec-websocket-protocol").decode("latin-1")
        if chosen not in self.subprotocols:
            raise HandshakeFailed("the server uses a subprotocol that was not offered")
        return chosen


def accept_of(key: bytes) -> bytes:
    """Return the proof that a server has read a key: RFC 6455, section 4.2.2, item 5.4."""
    return b64encode(sha1(key + _GUID, usedforsecurity=False).digest())


def _refusal(status: int) -> str:
    hint = "; redirects are not followed" if 300 <= status < 400 else ""
    return f"the server answers with status {status}{hint}"


def _parse(lines: Sequence[bytes]) -> dict[bytes, list[bytes]]:
    headers: dict[bytes, list[bytes]] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or name != name.strip():
            raise HandshakeFailed("the server's response has an invalid header")
        headers.setdefault(name.lower(), []).append(value.strip())
    return headers


def _only(headers: dict[bytes, list[bytes]], name: bytes) -> bytes:
    """Return the value of a header that is there once; empty if it is not."""
    values = headers.get(name, ())
    return values[0] if len(values) == 1 else b""
