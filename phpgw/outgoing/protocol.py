"""The WebSocket protocol (RFC 6455) of an outgoing connection, and its factory.

Only the roles differ from a browser's connection: here the gateway sends the handshake, and masks
its frames. All limits are the same.
"""

from base64 import b64encode
from os import urandom
from typing import Any, Protocol

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.hub.client import Client, Message
from phpgw.log_limit import line_limit
from phpgw.metrics import Metrics
from phpgw.outgoing.masked_frames import MaskedFrameEncoder, masked_frame
from phpgw.outgoing.opening import KEY_BYTES, MAX_RESPONSE_SIZE, HandshakeFailed, OpeningRequest
from phpgw.transport.tls_errors import tls_reason
from phpgw.websocket.limits import WebSocketLimits
from phpgw.websocket.outbound import OutboundProtocol
from phpgw.websocket.protocol import GatewayFactory, GatewayProtocol

# Beside the reasons of phpgw.websocket.inbound: what has been read is parsed, so that pings are
# answered.
_PHP_IS_SLOW = 16
# Seconds between two reads while PHP is slow. A server whose pings get no answer hangs up.
_PEEK_INTERVAL = 1.0
_FIN = 0x80
_END_OF_HEAD = b"\r\n\r\n"
_ABNORMAL_CLOSURE = 1006
# Notes for the log, in place of what the server or PHP says: it may be anything.
_NOTES = {"client": "from the server", "command": "from PHP"}


class SocketOwner(Protocol):
    """The owner of a connection, who is told what happens to it.

    :ivar name: the name of the upstream.
    """

    name: str

    def opened(self, connection: "OutgoingProtocol") -> None:
        """Note that the server has accepted the handshake."""

    def ended(self, connection: "OutgoingProtocol") -> None:
        """Note that the connection has ended, or could not be opened."""

    def received(self, connection: "OutgoingProtocol", message: Message) -> None:
        """Take a message of the server."""


class OutgoingProtocol(GatewayProtocol):
    """The connection to one server.

    :ivar owner: is told what happens.
    :ivar opening: the request that opens the connection.
    :ivar subprotocol: the one that the server has chosen; empty for none.
    """

    factory: "OutgoingFactory"
    client_log = Logger(observer=line_limit)
    # An option of Autobahn's clients, which its class for servers does not have.
    acceptMaskedServerFrames = False  # noqa: N815
    owner: SocketOwner
    opening: OpeningRequest
    subprotocol = ""

    _head = b""
    _opening_call: IDelayedCall | None = None
    _peek_call: IDelayedCall | None = None
    _is_peeking = False

    # The opening handshake

    def connectionMade(self) -> None:
        """Send the opening handshake."""
        super().connectionMade()
        factory = self.factory
        self._opening_call = factory.reactor.callLater(
            factory.handshake_timeout, self.fail_opening, "the server does not answer the handshake"
        )
        self.transport.write(self.opening.encode())

    def fail_opening(self, reason: str) -> None:
        """End a connection that is not open yet."""
        if self.is_pending and self.transport is not None:
            self._close_status = _ABNORMAL_CLOSURE, reason
            self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        if self.state == self.STATE_CONNECTING:
            if self.is_pending:
                self._receive_response(data)
            return
        super().dataReceived(data)
        if self._is_peeking:
            self._is_peeking = False
            self._wait_for_php()

    def _receive_response(self, data: bytes) -> None:
        self._head += data
        head, end, rest = self._head.partition(_END_OF_HEAD)
        if len(head) > MAX_RESPONSE_SIZE:
            self.fail_opening("the server's response is too long")
            return
        if not end:
            return
        self._head = b""
        try:
            self.subprotocol = self.opening.check(head)
        except HandshakeFailed as error:
            self.fail_opening(str(error))
            return
        self._cancel_calls()
        self.state = self.STATE_OPEN
        self.onOpen()
        if rest:
            self.dataReceived(rest)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.is_pending:
            self._close_status = _ABNORMAL_CLOSURE, _explain(reason)
        self._cancel_calls()
        # Without the reason, of which Autobahn would log a line of its own.
        super().connectionLost(connectionDone)

    def _cancel_calls(self) -> None:
        for call in (self._opening_call, self._peek_call):
            if call is not None and call.active():
                call.cancel()
        self._opening_call = self._peek_call = None

    # Frames

    def _receive_short_frame(self, data: bytes) -> bool:
        """Return false: the fast path is for the masked frames of clients."""
        return False

    def sendFrame(self, opcode: int, payload: bytes = b"", *_: Any, **options: Any) -> None:
        self.sendData(masked_frame(_FIN | opcode, payload))

    # phpgw.hub.client.Connection

    def pause_reading(self) -> None:
        """Read only a little from time to time, so that pings are answered; TCP slows the rest."""
        if self.state == self.STATE_OPEN and self._peek_call is None and not self._is_peeking:
            self.factory.metrics.inboxes_full += 1
            self._wait_for_php()

    def resume_reading(self) -> None:
        if self._peek_call is not None:
            self._peek_call.cancel()
            self._peek_call = None
        self._is_peeking = False
        self._read_on()

    def _wait_for_php(self) -> None:
        if self.state == self.STATE_OPEN:
            self._pause(_PHP_IS_SLOW)
            self._peek_call = self.factory.reactor.callLater(_PEEK_INTERVAL, self._peek)

    def _peek(self) -> None:
        """Read once."""
        self._peek_call = None
        self._is_peeking = True
        self._read_on()

    def _read_on(self) -> None:
        if self._is_partial and self._pause_reasons & _PHP_IS_SLOW:
            # The server cannot send it faster.
            self.factory.partial_messages.restart(self)
        self._resume(_PHP_IS_SLOW)

    def resume_for_close_frame(self) -> None:
        self.resume_reading()
        super().resume_for_close_frame()

    # Without calls of the methods for browsers, which would log these servers as clients.

    def onOpen(self) -> None:
        OutboundProtocol.onOpen(self)
        factory = self.factory
        self._opened_at = factory.reactor.seconds()
        factory.metrics.handshakes_accepted += 1
        if factory.keep_alive is not None:
            factory.keep_alive.start(self)
        factory.client_log.info(
            "Upstream {upstream} is open: {origin}",
            upstream=self.owner.name,
            origin=self.opening.url.origin,
        )
        factory.table.open(self)

    def _log_silence(self) -> None:
        self.client_log.info(
            "Upstream {upstream} does not respond to pings (--ping-timeout)",
            upstream=self.owner.name,
        )

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        if self._opened_at is None:
            return
        factory = self.factory
        factory.metrics.connections_closed[self.close_cause] += 1
        own_code, own_reason = self.close_status
        factory.client_log.info(
            "Upstream {upstream} has closed after {seconds:.1f} s: code {code} ({note}), "
            "{messages_in} messages in, {messages_out} out",
            upstream=self.owner.name,
            seconds=factory.reactor.seconds() - self._opened_at,
            code=own_code,
            cause=self.close_cause,
            note=_NOTES.get(self.close_cause) or own_reason or "lost",
            messages_in=self._messages_in,
            messages_out=self.messages_out,
        )


class OutgoingFactory(GatewayFactory):
    """Makes the protocols of all outgoing connections, and holds what they share.

    :ivar handshake_timeout: seconds for a server to answer the handshake.
    """

    protocol = OutgoingProtocol

    def __init__(
        self,
        *,
        reactor: IReactorTime,
        limits: WebSocketLimits,
        metrics: Metrics,
        handshake_timeout: float,
    ) -> None:
        owners: Any = _Owners()
        super().__init__(
            reactor=reactor, limits=limits, table=owners, relay=owners, metrics=metrics
        )
        # Not before: Autobahn takes what its class for servers has from the factory.
        self.isServer = False
        self.frame_encoder: Any = MaskedFrameEncoder()
        self.handshake_timeout = handshake_timeout

    def make(self, owner: SocketOwner, client: Client, opening: OpeningRequest) -> Any:
        """Return the protocol of a new connection, which has no transport yet."""
        connection = self.protocol()
        connection.factory = self
        connection.owner, connection.client, connection.opening = owner, client, opening
        return connection


class _Owners:
    """Tells the owner of each connection what happens to it."""

    def open(self, connection: Any) -> None:
        """Note that a connection is open."""
        connection.owner.opened(connection)

    def close(self, connection: Any) -> None:
        """Do nothing: the end follows."""

    def remove(self, connection: Any) -> None:
        """Note that a connection has ended."""
        connection.owner.ended(connection)

    def receive(self, client: Client, message: Message) -> None:
        """Take a message from a server."""
        connection: Any = client.connection
        connection.owner.received(connection, message)


def new_key() -> bytes:
    """Return a random key for a handshake."""
    return b64encode(urandom(KEY_BYTES))


def _explain(reason: Failure) -> str:
    """Return why a connection has ended before it was open."""
    if reason.check(ConnectionDone, ConnectionLost):
        return "the server has closed the connection before the handshake"
    error: Any = reason.value
    return f"TLS: {tls_reason(error)}"
