"""Handshakes (RFC 6455, section 4.2): a request becomes a WebSocket connection, or is refused.

twisted.web reads the request, and PHP may be asked about it. Autobahn's part begins behind the
response.
"""

from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from phpgw.backend.event import Handshake
from phpgw.hub.registry import ClientIdTaken
from phpgw.log_limit import LogThrottle, line_limit
from phpgw.metrics import Metrics
from phpgw.relay.connect import Admission, Grant, Refusal
from phpgw.relay.errors import Draining
from phpgw.web.addresses import peer_name
from phpgw.web.forwarded import InvalidForwardedHeaders
from phpgw.web.handshake_request import HandshakeRequest
from phpgw.web.proxy_detection import ProxyDetector
from phpgw.websocket.connection_limit import AddressLimitReached, ConnectionLimitReached
from phpgw.websocket.opening import OpeningHandshake, read_opening, read_printable_opening
from phpgw.websocket.protocol import GatewayFactory, GatewayProtocol
from phpgw.websocket.request_info import OriginNotAllowed, RequestInfo
from phpgw.websocket.subprotocols import Subprotocols

# Reason phrases that twisted.web does not have.
_PHRASES = {426: b"Upgrade Required", 429: b"Too Many Requests"}
# Refusals that many clients can get at the same time: not each of them is logged.
_THROTTLED_STATUSES = frozenset((429, 503))


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
            opening = read_opening(request, self._factory.limits.compression)
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

    def open_directly(self, request: HandshakeRequest) -> bool:
        """Accept a handshake that :meth:`render` would accept at once, without asking PHP.

        :param request: all of its headers are printable ASCII.
        :returns: whether it was accepted. If not, nothing was counted or logged, and
            :meth:`render` has to refuse it.
        """
        try:
            opening = read_printable_opening(request, self._factory.limits.compression)
            handshake = self._request_info.read_trusted(request)
            if handshake is None:
                return False
            protocol = self._add_connection(request, handshake)
        except (
            *(Refusal, InvalidForwardedHeaders, Draining),
            *(ConnectionLimitReached, ClientIdTaken),
        ):
            return False
        transport = request.channel.release()
        if ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(True)
        self.open(transport, protocol, opening, Grant())
        return True

    def _add_connection(self, request: HandshakeRequest, handshake: Handshake) -> GatewayProtocol:
        if self._proxy_detector is not None:
            self._proxy_detector.inspect_handshake(request)
        peer = request.getClientAddress()
        make_connection = partial(self._factory.make_connection, peer)
        return self._table.add_pending(peer, handshake, make_connection)

    def _add_pending(self, request: Request) -> GatewayProtocol:
        try:
            return self._add_connection(request, self._request_info.read(request))
        except OriginNotAllowed:
            raise Refusal(
                403,
                "Pages of this site may not connect; --allow-origin names those that may.",
                cause="origin",
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
                cause="max_connections_per_address",
            ) from None
        except ConnectionLimitReached:
            self._metrics.handshakes_refused_full += 1
            raise Refusal(
                503,
                "There is no room for more clients (--max-connections).",
                [(b"Retry-After", b"10")],
                cause="max_connections",
            ) from None
        except ClientIdTaken as error:
            raise Refusal(409, f"There is a client {error} already.", cause="client_id") from None

    async def _ask(
        self, request: Request, protocol: GatewayProtocol, opening: OpeningHandshake
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
        opening: OpeningHandshake,
        grant: Grant,
    ) -> None:
        transport, unread = release(request)
        self.open(transport, protocol, opening, grant)
        if unread:
            protocol.dataReceived(unread)

    def open(
        self,
        transport: Any,
        protocol: GatewayProtocol,
        opening: OpeningHandshake,
        grant: Grant,
    ) -> None:
        """Connect a pending protocol to its transport, and open the connection."""
        subprotocol = self._subprotocols.choose(opening.subprotocols, grant.subprotocol)
        attach(transport, protocol)
        protocol.open(opening.response(subprotocol, grant.set_cookies), opening.deflate)
        self._admission.admit(protocol.client, grant)

    def _refuse(self, request: Request, refusal: Refusal) -> bytes:
        self._metrics.handshakes_refused[refusal.cause] += 1
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
                cause=refusal.cause,
                reason=refusal.note,
                others=others,
            )


def release(request: Request) -> tuple[Any, bytes]:
    """Take a request's connection away from twisted.web.

    :returns: the transport, and what was received behind the request.
    """
    channel: Any = request.channel
    unread: bytes = channel.take_unread()
    transport, channel.transport = channel.transport, None
    transport.unregisterProducer()
    # Both are finished. Without this, they would be a reference cycle that holds the transport.
    request.channel = None  # type: ignore[assignment]
    return transport, unread


def attach(transport: Any, protocol: Protocol) -> None:
    """Connect a protocol to the transport of another one."""
    if isinstance(transport, ProtocolWrapper):
        # TLS, or the PROXY protocol.
        transport.wrappedProtocol = protocol
    else:
        transport.protocol = protocol
    protocol.makeConnection(transport)


def _draining_refusal() -> Refusal:
    return Refusal(503, "This gateway is about to stop.", [(b"Retry-After", b"1")], cause="stop")
