"""The edge to browsers: WebSocket connections (RFC 6455), spoken by Autobahn.

A connection comes here with its handshake already judged (:mod:`phpgw.handshake`). Its messages
go down to the relay; replies and pushes come back through :class:`phpgw.client.Connection`.
"""

from itertools import count
from typing import Any, cast

import attrs
from autobahn.util import encode_truncate
from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateOfferAccept
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IDelayedCall, IPushProducer, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from phpgw.backend import Handshake
from phpgw.client import Client, Message
from phpgw.keepalive import KeepAlive
from phpgw.lean import LeanFactory, LeanProtocol
from phpgw.metrics import Metrics
from phpgw.peer import peer_name
from phpgw.registry import Registry
from phpgw.relay import Relay

# How long a peer may take to answer a close frame, or to read what is left for it.
_CLOSE_SECONDS = 5
_LONGEST_REASON = 123


@attrs.frozen(kw_only=True)
class WebSocketLimits:
    """What a connection may do.

    :ivar max_message_size: bytes of a message from the peer, after decompression.
    :ivar max_outbox: bytes that may wait for the peer when another message is sent.
    :ivar compression: whether permessage-deflate (RFC 7692) is accepted.
    :ivar ping_interval: seconds between pings; 0 for none.
    :ivar ping_timeout: seconds to wait for an answer; 0 for ever.
    """

    max_message_size: int
    max_outbox: int
    compression: bool = False
    ping_interval: float = 0
    ping_timeout: float = 0


class Draining(Exception):
    """No further clients are taken, since the gateway is about to stop."""


@implementer(IPushProducer)
class GatewayProtocol(LeanProtocol):
    """One browser's connection; a :class:`phpgw.client.Connection`."""

    _log = Logger()  # Autobahn has a ``log`` of its own
    factory: "GatewayFactory"
    client: Client
    transport: Any  # a TCP or TLS one: both can pause, and abort
    _perMessageCompress: Any

    def __init__(self) -> None:
        super().__init__()
        self._reading_paused = False
        self._consuming = False
        self._outbox_full = False
        self._outbox_size = 0
        self._keep_alive: KeepAlive | None = None
        self._abort_call: IDelayedCall | None = None
        self._opened_at: float | None = None
        self._messages_in = 0
        self._messages_out = 0

    # What Autobahn and the transport tell.

    def onOpen(self) -> None:
        super().onOpen()
        factory = self.factory
        self._opened_at = factory.reactor.seconds()
        factory.metrics.clients_now += 1
        factory.metrics.handshakes_accepted += 1
        # In place of the HTTP channel, which had the transport before.
        self.unregisterProducer()
        self.registerProducer(self, True)
        limits = factory.limits
        if limits.ping_interval:
            self._keep_alive = KeepAlive(
                factory.reactor,
                limits.ping_interval,
                min(limits.ping_timeout, limits.ping_interval),
                self.sendPing,
                self._peer_lost,
            )
            self._keep_alive.start()
        self._log.info("Client {client_id} connected", client_id=self.client.id)

    def dataReceived(self, data: bytes) -> None:
        if self._keep_alive is not None:
            self._keep_alive.heard()
        super().dataReceived(data)

    def consumeData(self) -> None:
        # A message may lead to more being wanted at once; Autobahn is not done with it by then.
        if not self._consuming:
            self._consuming = True
            try:
                super().consumeData()
            finally:
                self._consuming = False

    def processData(self) -> bool:
        # Autobahn would go on with what it has read already, however much that is.
        return not self._reading_paused and super().processData()

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if self.state != self.STATE_OPEN:
            return
        limit = self.factory.limits.max_message_size
        if len(payload) > limit:
            self.close(1009, f"a message may have {limit} bytes at most")
            return
        self._messages_in += 1
        self.factory.relay.receive(self.client, Message(payload, isBinary))

    def sendCloseFrame(
        self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False
    ) -> None:
        super().sendCloseFrame(code, reasonUtf8, isReply)
        if self._abort_call is None:
            self._abort_call = self.factory.reactor.callLater(_CLOSE_SECONDS, self.abort)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.factory.leave(self)
        if self._keep_alive is not None:
            self._keep_alive.stop()
        if self._abort_call is not None and self._abort_call.active():
            self._abort_call.cancel()
        super().connectionLost(reason)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        if self._opened_at is None:
            return
        self.factory.metrics.clients_now -= 1
        self._log.info(
            "Client {client_id} left after {seconds:.1f} s: code {code}, "
            "{messages_in} messages in, {messages_out} out",
            client_id=self.client.id,
            seconds=self.factory.reactor.seconds() - self._opened_at,
            code=self.localCloseCode if self.closedByMe else code,
            messages_in=self._messages_in,
            messages_out=self._messages_out,
        )

    def pauseProducing(self) -> None:
        """The transport's buffer is full: count what comes on top of it."""
        self._outbox_full = True

    def resumeProducing(self) -> None:
        """The transport's buffer is empty."""
        self._outbox_full = False
        self._outbox_size = 0

    def stopProducing(self) -> None:
        """The transport is gone; connectionLost follows."""

    # phpgw.client.Connection

    def send_message(self, payload: bytes, is_binary: bool) -> None:
        if self.state != self.STATE_OPEN:
            return
        if self._outbox_full:
            if self._outbox_size > self.factory.limits.max_outbox:
                self.factory.metrics.slow_consumers_closed += 1
                self.close(1008, "messages are not read fast enough")
                return
            self._outbox_size += len(payload)
        self._messages_out += 1
        self.factory.metrics.messages_sent += 1
        # Not sendMessage, which holds what we send to the limit of what we receive.
        if self._perMessageCompress is None:
            self.sendData(self.factory.frame(payload, is_binary))
        else:
            self.sendFrame(2 if is_binary else 1, self._deflate(payload), rsv=4)

    def close(self, code: int, reason: str) -> None:
        if self.state != self.STATE_OPEN:
            return
        self.sendCloseFrame(code, encode_truncate(reason, _LONGEST_REASON))
        # The peer's answer has to be read.
        self.resume_reading()

    def pause_reading(self) -> None:
        if not self._reading_paused:
            self._reading_paused = True
            self.transport.pauseProducing()

    def resume_reading(self) -> None:
        if self._reading_paused:
            self._reading_paused = False
            self.transport.resumeProducing()
            self.consumeData()

    def abort(self) -> None:
        """End the connection at once, without a closing handshake."""
        self.transport.abortConnection()

    def _deflate(self, payload: bytes) -> bytes:
        deflate = self._perMessageCompress
        deflate.start_compress_message()
        return deflate.compress_message_data(payload) + deflate.end_compress_message()

    def _peer_lost(self) -> None:
        if self._reading_paused and self._keep_alive is not None:
            # Its answer may be waiting behind the messages that we do not read.
            self._keep_alive.start()
            return
        self._log.info("Client {client_id} answers no ping", client_id=self.client.id)
        self.abort()


class GatewayFactory(LeanFactory):
    """Makes the connections and knows which there are.

    :ivar draining: whether new clients are refused.
    """

    noisy = False

    def __init__(
        self,
        *,
        reactor: IReactorTime,
        limits: WebSocketLimits,
        registry: Registry,
        relay: Relay,
        metrics: Metrics,
    ) -> None:
        super().__init__(server="phpgw", reactor=reactor)
        self.limits = limits
        self.registry = registry
        self.relay = relay
        self.metrics = metrics
        self.draining = False
        self._connections: set[GatewayProtocol] = set()
        self._frame = b""
        self._framed_payload: bytes | None = None
        self._framed_is_binary = False
        self._empty_waiters: list[Deferred[None]] = []
        self._unnamed_peers = count(1)
        self.setProtocolOptions(
            versions=[13],
            webStatus=False,
            # One more than is allowed: Autobahn may cut a compressed message down to its limit
            # and pass it on as if it were whole. One that long is then refused in onMessage.
            maxMessagePayloadSize=limits.max_message_size + 1,
            failByDrop=False,
            # Both time-outs are ours: Autobahn's go by the global reactor and by whole seconds.
            openHandshakeTimeout=0,
            closeHandshakeTimeout=0,
            perMessageCompressionAccept=_accept_deflate if limits.compression else _accept_none,
        )
        self.specialize(GatewayProtocol)

    def admit(self, peer: IAddress, handshake: Handshake) -> GatewayProtocol:
        """A connection for a new client, which is registered under its peer's address.

        :param handshake: what PHP is to know of the client's request.
        :raises Draining: if no further clients are taken.
        :raises phpgw.registry.ClientIdTaken: if the address is that of a connected client.
        """
        if self.draining:
            raise Draining
        protocol = cast(GatewayProtocol, self.buildProtocol(peer))
        protocol.client = Client(self._client_id(peer), handshake, protocol)
        self.registry.add(protocol.client)
        self._connections.add(protocol)
        return protocol

    def leave(self, protocol: GatewayProtocol) -> None:
        """Forget a connection that has ended."""
        self._connections.discard(protocol)
        self.registry.remove(protocol.client)
        self.relay.forget(protocol.client)
        self._notice_empty()

    def frame(self, payload: bytes, is_binary: bool) -> bytes:
        """A message's frame; the same one for the same message, one after the other."""
        if payload is not self._framed_payload or is_binary is not self._framed_is_binary:
            prepared = self.prepareMessage(payload, is_binary, doNotCompress=True)
            self._frame = prepared.payloadHybi
            self._framed_payload = payload
            self._framed_is_binary = is_binary
        return self._frame

    def connections(self) -> list[GatewayProtocol]:
        """Every connection there is, also those that are closing."""
        return list(self._connections)

    def when_empty(self) -> Deferred[None]:
        """Fires once there is no connection."""
        empty: Deferred[None] = Deferred()
        self._empty_waiters.append(empty)
        self._notice_empty()
        return empty

    def _notice_empty(self) -> None:
        if not self._connections:
            waiters, self._empty_waiters = self._empty_waiters, []
            for waiter in waiters:
                waiter.callback(None)

    def _client_id(self, peer: IAddress) -> str:
        return peer_name(peer) or f"unix:{next(self._unnamed_peers)}"


def _accept_deflate(offers: list[object]) -> PerMessageDeflateOfferAccept | None:
    for offer in offers:
        if isinstance(offer, PerMessageDeflateOffer):
            return PerMessageDeflateOfferAccept(offer)
    return None


def _accept_none(offers: list[object]) -> None:
    return None
