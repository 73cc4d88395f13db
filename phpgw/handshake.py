"""The opening handshake (RFC 6455, section 4.2): an HTTP request becomes a WebSocket connection.

twisted.web reads and judges the request. Autobahn is given a request that we write, with nothing
of the browser's in it but the checked key and offered extensions: its own parser would take
characters inside a header's value for the start of another header.
"""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Sequence
from typing import Any

from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from phpgw.identity import visible_handshake
from phpgw.metrics import Metrics
from phpgw.peer import peer_name
from phpgw.registry import ClientIdTaken
from phpgw.websocket import Draining, GatewayFactory, GatewayProtocol

_KEY_BYTES = 16
# What twisted.web has no phrase for.
_PHRASES = {426: b"Upgrade Required"}
# What no header's value may have in it: RFC 9110, section 5.5.
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
# Tokens and quoted strings with their separators: RFC 6455, section 9.1.
_EXTENSIONS = re.compile(rb"[\x20-\x7e]*")


class Refusal(Exception):
    """A handshake that is not granted.

    :ivar status: the HTTP status.
    :ivar reason: what was wrong, for the developer who reads the answer.
    :ivar headers: further headers of the answer.
    """

    def __init__(self, status: int, reason: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers or {}


class WebSocketResource(Resource):
    """The path that speaks WebSocket."""

    isLeaf = True
    log = Logger()

    def __init__(self, factory: GatewayFactory, metrics: Metrics) -> None:
        super().__init__()
        self._factory = factory
        self._metrics = metrics

    def render_GET(self, request: Request) -> bytes | int:
        """Grant the handshake, or say what is wrong with it."""
        try:
            head = _checked_head(request)
            protocol = self._admit(request)
        except Refusal as refusal:
            self._metrics.handshakes_refused += 1
            self.log.info(
                "Refused a handshake from {peer}: {status}, {reason}",
                peer=peer_name(request.getClientAddress()),
                status=refusal.status,
                reason=refusal.reason,
            )
            request.setResponseCode(refusal.status, _PHRASES.get(refusal.status))
            request.setHeader("Content-Type", "text/plain; charset=utf-8")
            for name, value in refusal.headers.items():
                request.setHeader(name, value)
            return refusal.reason.encode() + b"\n"
        _take_over(request, protocol, head)
        return NOT_DONE_YET

    def _admit(self, request: Request) -> GatewayProtocol:
        try:
            return self._factory.admit(request.getClientAddress(), visible_handshake(request))
        except Draining:
            raise Refusal(503, "This gateway is about to stop.", {"Retry-After": "1"}) from None
        except ClientIdTaken as taken:
            raise Refusal(409, f"There is a client {taken} already.") from None


def _checked_head(request: Request) -> bytes:
    """The request as Autobahn gets it.

    :raises Refusal: if it is no proper opening handshake.
    """
    headers = request.requestHeaders
    if b"websocket" not in _tokens(request, b"Upgrade"):
        raise Refusal(
            426,
            "This address speaks WebSocket. Connect to it from a page's script: "
            "new WebSocket('ws://HOST:PORT/PATH')",
            {"Upgrade": "websocket", "Connection": "Upgrade"},
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
            {"Sec-WebSocket-Version": "13", "Upgrade": "websocket", "Connection": "Upgrade"},
        )
    if len(headers.getRawHeaders(b"Host", [])) != 1:
        raise Refusal(400, "There has to be one Host header.")
    for name, values in headers.getAllRawHeaders():
        if any(map(_CONTROL.search, values)):
            raise Refusal(400, f"The header {name.decode('ascii')} has a control character in it.")
    lines = [
        b"GET / HTTP/1.1",
        b"Host: phpgw",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: " + _checked_key(headers.getRawHeaders(b"Sec-WebSocket-Key", ())),
    ]
    extensions = b", ".join(headers.getRawHeaders(b"Sec-WebSocket-Extensions", []))
    if not _EXTENSIONS.fullmatch(extensions):
        raise Refusal(400, "Sec-WebSocket-Extensions has characters that are not ASCII.")
    if extensions:
        lines.append(b"Sec-WebSocket-Extensions: " + extensions)
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _tokens(request: Request, name: bytes) -> set[bytes]:
    values = request.requestHeaders.getRawHeaders(name, [])
    return {token.strip().lower() for value in values for token in value.split(b",")}


def _checked_key(keys: Sequence[bytes]) -> bytes:
    """RFC 6455, section 4.2.1, item 5."""
    try:
        [key] = keys
        if len(b64decode(key, validate=True)) == _KEY_BYTES:
            return key
    except (ValueError, Base64Error):
        pass
    raise Refusal(400, "There has to be one Sec-WebSocket-Key, 16 bytes in base64.")


def _take_over(request: Request, protocol: GatewayProtocol, head: bytes) -> None:
    """Give the request's transport to the WebSocket connection."""
    channel: Any = request.channel
    transport, channel.transport = channel.transport, None
    # Bytes that came with the request, in the same packet, reach the channel only after this.
    channel.rawDataReceived = protocol.dataReceived
    if isinstance(transport, ProtocolWrapper):
        # TLS, or the PROXY protocol.
        transport.wrappedProtocol = protocol
    else:
        transport.protocol = protocol
    protocol.makeConnection(transport)
    protocol.dataReceived(head)
