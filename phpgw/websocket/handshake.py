"""The opening handshake (RFC 6455, section 4.2): an HTTP request becomes a WebSocket connection.

twisted.web reads the request, and PHP may be asked about it. Autobahn's part begins behind the
response.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Sequence
from functools import partial
from hashlib import sha1
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from phpgw.hub.registry import ClientIdTaken
from phpgw.log_limit import LogThrottle, line_limit
from phpgw.metrics import Metrics
from phpgw.relay.connect import CONTROL, Admission, Grant, Refusal
from phpgw.relay.errors import Draining
from phpgw.web.addresses import peer_name
from phpgw.web.forwarded import InvalidForwardedHeaders
from phpgw.web.proxy_detection import ProxyDetector
from phpgw.websocket.connection_limit import AddressLimitReached, ConnectionLimitReached
from phpgw.websocket.permessage_deflate import InvalidExtensions, deflate_offer
from phpgw.websocket.protocol import GatewayFactory, GatewayProtocol
from phpgw.websocket.request_info import OriginNotAllowed, RequestInfo
from phpgw.websocket.subprotocols import Subprotocols

_KEY_BYTES = 16
# RFC 6455, section 1.3.
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\n"
    b"Server: phpgw\r\n"
    b"Upgrade: WebSocket\r\n"
    b"Connection: Upgrade"
)
# Reason phrases that twisted.web does not have.
_PHRASES = {426: b"Upgrade Required", 429: b"Too Many Requests"}
# Refusals that many clients can get at the same time: not each of them is logged.
_THROTTLED_STATUSES = frozenset((429, 503))
_UPGRADE = ((b"Upgrade", b"websocket"), (b"Connection", b"Upgrade"))
# RFC 9110, section 5.6.2.
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class WebSocketResource(Resource):
    """The HTTP resource that accepts WebSocket handshakes.

    :param factory: makes the connections, and has their table.
    :param subprotocols: selects the subprotocol if PHP does not.
    :param proxy_detector: is given all requests, if it is needed.
    """

    isLeaf = True
    log = Logger(observer=line_limit)

    def __init__(
        self,
        factory: GatewayFactory,
        request_info: RequestInfo,
        admission: Admission,
        metrics: Metrics,
        subprotocols: Subprotocols | None = None,
        proxy_detector: ProxyDetector | None = None,
    ) -> None:
        super().__init__()
        self._factory = factory
        self._table = factory.table
        self._subprotocols = subprotocols or Subprotocols((), factory.reactor.seconds)
        self._proxy_detector = proxy_detector
        self._request_info = request_info
        self._admission = admission
        self._metrics = metrics
        self._log_throttle = LogThrottle(factory.reactor.seconds)

    def render(self, request: Request) -> bytes | int:
        """Accept the handshake or refuse it, perhaps after PHP was asked."""
        try:
            opening = _read_opening(request, self._factory.limits.compression)
            protocol = self._add_pending(request)
        except Refusal as refusal:
            return self._refuse(request, refusal)
        if self._admission.asks_php:
            # The browser may disconnect in the meantime.
            request.notifyFinish().addErrback(lambda _: self._table.remove(protocol))
            asked = Deferred.fromCoroutine(self._ask(request, protocol, opening))
            asked.addErrback(self._fail, protocol)
        else:
            self._open(request, protocol, opening, Grant())
        return NOT_DONE_YET

    def _add_pending(self, request: Request) -> GatewayProtocol:
        try:
            handshake = self._request_info.read(request)
            if self._proxy_detector is not None:
                self._proxy_detector.inspect_handshake(request)
            peer = request.getClientAddress()
            make_connection = partial(self._factory.make_connection, peer)
            return self._table.add_pending(peer, handshake, make_connection)
        except OriginNotAllowed:
            raise Refusal(
                403, "Pages of this site may not connect; --allow-origin names those that may."
            ) from None
        except InvalidForwardedHeaders as error:
            raise Refusal(400, str(error)) from None
        except Draining:
            raise _draining_refusal() from None
        except AddressLimitReached:
            self._metrics.handshakes_refused_per_address += 1
            raise Refusal(
                429,
                "There are too many clients of this address (--max-connections-per-address). Is "
                "it that of a proxy, which --trusted-proxy should name?",
                [(b"Retry-After", b"60")],
            ) from None
        except ConnectionLimitReached:
            self._metrics.handshakes_refused_full += 1
            raise Refusal(
                503,
                "There is no room for more clients (--max-connections).",
                [(b"Retry-After", b"10")],
            ) from None
        except ClientIdTaken as error:
            raise Refusal(409, f"There is a client {error} already.") from None

    async def _ask(
        self, request: Request, protocol: GatewayProtocol, opening: "_OpeningHandshake"
    ) -> None:
        client = protocol.client
        try:
            grant = await self._admission.ask(client, opening.subprotocols)
        except Refusal as refusal:
            self._refuse_pending(request, protocol, refusal)
            return
        if client.is_disconnected or self._table.is_draining:
            # PHP has granted the handshake, so it must get the disconnect, too.
            self._admission.admit(client, grant)
            self._refuse_pending(request, protocol, _draining_refusal())
        else:
            self._open(request, protocol, opening, grant)

    def _refuse_pending(
        self, request: Request, protocol: GatewayProtocol, refusal: Refusal
    ) -> None:
        if not protocol.client.is_disconnected:
            self._table.remove(protocol)
            request.write(self._refuse(request, refusal))
            request.finish()

    def _fail(self, failure: Failure, protocol: GatewayProtocol) -> None:
        self.log.failure("A handshake failed", failure)
        self._table.remove(protocol)
        protocol.abort()

    def _open(
        self,
        request: Request,
        protocol: GatewayProtocol,
        opening: "_OpeningHandshake",
        grant: Grant,
    ) -> None:
        subprotocol = self._subprotocols.choose(opening.subprotocols, grant.subprotocol)
        unread = _take_transport(request, protocol)
        protocol.open(opening.response(subprotocol, grant.set_cookies), opening.deflate)
        self._admission.admit(protocol.client, grant)
        if unread:
            protocol.dataReceived(unread)

    def _refuse(self, request: Request, refusal: Refusal) -> bytes:
        self._metrics.handshakes_refused += 1
        self._log_refusal(request, refusal)
        request.setResponseCode(refusal.status, _PHRASES.get(refusal.status))
        if refusal.body is None:
            request.setHeader("Content-Type", "text/plain; charset=utf-8")
        for name, value in refusal.headers:
            request.responseHeaders.addRawHeader(name, value)
        body = refusal.reason.encode() + b"\n" if refusal.body is None else refusal.body
        request.setHeader("Content-Length", str(len(body)))
        return body

    def _log_refusal(self, request: Request, refusal: Refusal) -> None:
        count = self._log_throttle.count() if refusal.status in _THROTTLED_STATUSES else 1
        if count:
            others = f", and {count - 1} others meanwhile" if count > 1 else ""
            self.log.info(
                "Refused a handshake from {peer}: {status}, {reason}{others}",
                peer=peer_name(request.getClientAddress()),
                status=refusal.status,
                reason=refusal.note,
                others=others,
            )


@attrs.frozen
class _OpeningHandshake:
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


def _draining_refusal() -> Refusal:
    return Refusal(503, "This gateway is about to stop.", [(b"Retry-After", b"1")])


def _read_opening(request: Request, compression: bool) -> _OpeningHandshake:
    """Check the opening handshake and return it: RFC 6455, section 4.2.1.

    :param compression: whether permessage-deflate can be accepted. Otherwise, extensions are
        ignored.
    :raises Refusal: if the handshake is invalid.
    """
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
    for name, values in headers.getAllRawHeaders():
        if any(map(CONTROL.search, values)):
            raise Refusal(400, f"The header {name.decode('ascii')} has a control character in it.")
    key = _read_key(headers.getRawHeaders(b"Sec-WebSocket-Key", ()))
    extensions = headers.getRawHeaders(b"Sec-WebSocket-Extensions", []) if compression else []
    try:
        deflate = deflate_offer(b", ".join(extensions))
    except InvalidExtensions:
        raise Refusal(400, "Sec-WebSocket-Extensions has to be a list of extensions.") from None
    return _OpeningHandshake(key, deflate, _read_subprotocols(request))


def _read_subprotocols(request: Request) -> tuple[str, ...]:
    """Return the offered subprotocols; refuse the handshake if one is no token, or not unique."""
    values = request.requestHeaders.getRawHeaders(b"Sec-WebSocket-Protocol", [])
    names = [name.strip() for value in values for name in value.split(b",") if name.strip()]
    if not all(map(_TOKEN.fullmatch, names)) or len(set(names)) < len(names):
        raise Refusal(400, "Sec-WebSocket-Protocol has to be a list of names, each once.")
    return tuple(name.decode("ascii") for name in names)


def _tokens(request: Request, name: bytes) -> set[bytes]:
    values = request.requestHeaders.getRawHeaders(name, [])
    return {token.strip().lower() for value in values for token in value.split(b",")}


def _read_key(keys: Sequence[bytes]) -> bytes:
    """Return the only key, if it is valid: RFC 6455, section 4.2.1, item 5."""
    try:
        [key] = keys
        if len(b64decode(key, validate=True)) == _KEY_BYTES:
            return key
    except (ValueError, Base64Error):
        pass
    raise Refusal(400, "There has to be one Sec-WebSocket-Key, 16 bytes in base64.")


def _take_transport(request: Request, protocol: GatewayProtocol) -> bytes:
    """Take the transport from the HTTP channel, and connect the WebSocket protocol to it.

    :returns: bytes that were read after the request, and belong to the WebSocket connection.
    """
    channel: Any = request.channel
    unread: bytes = channel.take_unread()
    transport, channel.transport = channel.transport, None
    if isinstance(transport, ProtocolWrapper):
        # TLS, or the PROXY protocol.
        transport.wrappedProtocol = protocol
    else:
        transport.protocol = protocol
    protocol.makeConnection(transport)
    # Both are finished. Without this, they would be a reference cycle that holds the transport.
    request.channel = None  # type: ignore[assignment]
    return unread
