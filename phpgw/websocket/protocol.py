"""The WebSocket protocol (RFC 6455) of a browser's connection, and its factory.

:mod:`phpgw.websocket.handshake` accepts the handshake before. The messages of the client go to the
relay; replies and pushes come through :class:`phpgw.hub.client.Connection`.
"""

from typing import Any, cast

from autobahn.util import encode_truncate
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.deadlines import Deadlines
from phpgw.hub.client import Client, Message
from phpgw.log_limit import line_limit
from phpgw.metrics import Metrics
from phpgw.relay.relay import Relay
from phpgw.transport.close_now import close_soon
from phpgw.websocket.autobahn_slim import SlimFactory
from phpgw.websocket.connection_table import ConnectionTable
from phpgw.websocket.frames import FrameEncoder
from phpgw.websocket.keepalive import KeepAlive, PingedConnection
from phpgw.websocket.lifetimes import Lifetime
from phpgw.websocket.limits import WebSocketLimits
from phpgw.websocket.lost_connections import LostConnections
from phpgw.websocket.outbound import OutboundProtocol
from phpgw.websocket.outbox import unsent_bytes
from phpgw.websocket.partial_messages import PartialMessages

# Seconds for the peer to read what is unsent and to respond to a close frame.
_CLOSE_TIMEOUT = 5
_MAX_REASON_SIZE = 123
# Codes that are never in a close frame: it had no code; there was no close frame.
_NO_STATUS_RECEIVED, _ABNORMAL_CLOSURE = 1005, 1006
# Codes of a connection whose peer exceeds a limit.
_LIMIT_CODES = (1008, 1009)
# Notes for the log on the causes that have no reason of ours: those of PHP and of peers are not
# logged.
_NOTES = {
    "lost": "without a close frame",
    "client": "from the client",
    "ping": "no answer to a ping",
    "command": "from PHP",
}
_CONNECTED = "Client {client_id} connected"
_LEFT = (
    "Client {client_id} left after {seconds:.1f} s: code {code} ({note}), "
    "{messages_in} messages in, {messages_out} out"
)
_CLOSE_CODES = frozenset((*range(1000, 1004), *range(1007, 1015)))


class GatewayProtocol(OutboundProtocol):
    """The connection of one client: a :class:`~.connection_table.TableConnection`."""

    client_log = Logger(observer=line_limit)  # ``log`` is Autobahn's
    factory: "GatewayFactory"
    client: Client
    transport: Any  # TCP or TLS: both can pause and abort
    state: int = OutboundProtocol.STATE_CONNECTING
    lifetime: Lifetime | None = None

    ping_deadlines: "Deadlines[PingedConnection] | None" = None
    _abort_call: IDelayedCall | None = None
    _opened_at: float | None = None
    _close_status: tuple[int, str] | None = None
    _messages_in = 0

    # Called by Autobahn and the transport.

    def onOpen(self) -> None:
        super().onOpen()
        factory = self.factory
        self._opened_at = factory.reactor.seconds()
        factory.metrics.clients_now += 1
        factory.metrics.handshakes_accepted += 1
        if factory.keep_alive is not None:
            factory.keep_alive.start(self)
        log = factory.client_log
        if not line_limit.count_if_over(log.namespace, _CONNECTED):
            log.info(
                _CONNECTED, client_id=self.client.id, peer=self.client.handshake.peer_host or None
            )
        factory.table.open(self)
        self.flush_outbox()
        if self._close_status is not None:
            self.sendCloseFrame(self._close_status[0], self._close_status[1].encode())

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if self.state != self.STATE_OPEN:
            return
        if len(payload) > self.factory.limits.max_message_size:
            self.refuse_too_large()
            return
        self._messages_in += 1
        self.factory.relay.receive(self.client, Message(payload, isBinary))

    def onCloseFrame(self, code: int | None, reasonRaw: bytes | None) -> None:
        # Without a call of Autobahn's method: it always responds with code 1000, does not know
        # 1014, and loses its response to an invalid close frame.
        is_response = self.state == self.STATE_CLOSING
        if self.state == self.STATE_OPEN:
            self._respond_to_close_frame(code, reasonRaw)
        self.wasClean = True
        # Not at once if our close frame is unsent: the peer has not responded to it then.
        self.dropConnection(abort=is_response and not unsent_bytes(self.transport))

    def _respond_to_close_frame(self, code: int | None, reason_utf8: bytes | None) -> None:
        if code is not None and not _is_close_code(code):
            self._protocol_violation(f"invalid close code {code}")
            return
        try:
            reason = (reason_utf8 or b"").decode()
        except UnicodeDecodeError:
            self._invalid_payload("invalid close reason (non-UTF8 payload)")
            return
        self._close_status, self.close_cause = (code or _NO_STATUS_RECEIVED, reason), "client"
        # With the same code and reason: RFC 6455, section 5.5.1.
        self.sendCloseFrame(code, reason_utf8, isReply=True)

    def sendCloseFrame(
        self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False
    ) -> None:
        super().sendCloseFrame(code, reasonUtf8, isReply)
        self.factory.table.close(self)
        if self._close_status is None:
            self._close_status = code or _NO_STATUS_RECEIVED, (reasonUtf8 or b"").decode()
            if self.close_cause == "lost":
                self.close_cause = "message" if code in _LIMIT_CODES else "protocol"
        if self.factory.keep_alive is not None:
            self.factory.keep_alive.stop(self)
        if not isReply:
            self._start_close_timeout()

    def _closeConnection(self, abort: bool = False) -> None:  # noqa: N802
        if abort:
            self.transport.abortConnection()
        elif not close_soon(self.transport):
            # Bytes are unsent, or TLS has to be closed.
            self._start_close_timeout()

    def _start_close_timeout(self) -> None:
        if self._abort_call is None:
            self._abort_call = self.factory.reactor.callLater(_CLOSE_TIMEOUT, self.abort)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._close_status is None:
            self._close_status = _ABNORMAL_CLOSURE, ""
        self.factory.table.remove(self)
        if self.factory.keep_alive is not None:
            self.factory.keep_alive.stop(self)
        if self._abort_call is not None and self._abort_call.active():
            self._abort_call.cancel()
        # It refers to this object. Without reference cycles it is freed at once.
        self._abort_call = None
        super().connectionLost(reason)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        if self._opened_at is None:
            return
        self.factory.metrics.clients_now -= 1
        self.factory.metrics.connections_closed[self.close_cause] += 1
        seconds = self.factory.reactor.seconds() - self._opened_at
        if self.close_cause == "lost":
            self.factory.lost_connections.add(seconds)
        log = self.factory.client_log
        if line_limit.count_if_over(log.namespace, _LEFT):
            return
        note = _NOTES.get(self.close_cause)
        own_reason = self.close_status[1] or self.close_cause if note is None else None
        log.info(
            _LEFT,
            client_id=self.client.id,
            user=self.client.identity.user,
            seconds=seconds,
            code=self.close_status[0],
            cause=self.close_cause,
            reason=own_reason,
            note=own_reason or note,
            messages_in=self._messages_in,
            messages_out=self.messages_out,
        )

    # phpgw.hub.client.Connection

    def close(self, code: int, reason: str, cause: str = "command") -> None:
        reason_utf8 = encode_truncate(reason, _MAX_REASON_SIZE)
        if self.is_pending:
            self._close_status, self.close_cause = (code, reason_utf8.decode()), cause
            self.factory.table.close(self)
        if self.state != self.STATE_OPEN:
            return
        self.close_cause = cause
        self.sendCloseFrame(code, reason_utf8)
        self.resume_for_close_frame()

    # phpgw.websocket.lifetimes.AgingConnection

    @property
    def message_count(self) -> int:
        return self._messages_in + self.messages_out

    @property
    def is_busy(self) -> bool:
        return self.client.is_busy or self.has_unparsed_data

    def close_if_idle(self, code: int, reason: str, cause: str) -> bool:
        if self.is_busy or self.state != self.STATE_OPEN:
            self.stop_reading()
            return False
        self.close(code, reason, cause)
        return True

    def abort(self) -> None:
        """End the connection at once, without a closing handshake."""
        if self._opened_at is not None and self.transport is not None:
            self.factory.table.close(self)
            self.transport.abortConnection()

    @property
    def close_status(self) -> tuple[int, str]:
        """Return the close code and the reason: RFC 6455, sections 7.1.5 and 7.1.6."""
        return self._close_status or (_ABNORMAL_CLOSURE, "")

    @property
    def is_pending(self) -> bool:
        """Return whether the connection is pending, and PHP has not closed it."""
        return self.state == self.STATE_CONNECTING and self._close_status is None

    def end_silent(self) -> None:
        """Abort the connection, unless the peer may be alive, and could not respond to a ping."""
        keep_alive = self.factory.keep_alive
        if keep_alive is not None and self.may_be_alive():
            keep_alive.start(self)
            return
        self._log_silence()
        self._close_status = _ABNORMAL_CLOSURE, "no answer to a ping"
        self.close_cause = "ping"
        self.abort()

    def _log_silence(self) -> None:
        self.client_log.info(
            "Client {client_id} does not respond to pings (--ping-timeout)",
            client_id=self.client.id,
        )


class GatewayFactory(SlimFactory):
    """Makes the protocols of connections, and holds what they share.

    :cvar protocol: the class of the protocols. A subclass can set another one.
    :ivar table: the protocols tell it when their state changes.
    :ivar relay: takes the messages of their clients.
    :ivar client_log: the logger of all protocols.
    """

    noisy = False
    protocol: Any = GatewayProtocol

    def __init__(
        self,
        *,
        reactor: IReactorTime,
        limits: WebSocketLimits,
        table: ConnectionTable,
        relay: Relay,
        metrics: Metrics,
    ) -> None:
        super().__init__(server="phpgw", reactor=reactor)
        self.limits = limits
        self.table = table
        self.relay = relay
        self.metrics = metrics
        # The logger of the class is the same for all: Logger makes a new one for each object.
        self.client_log = self.protocol.client_log
        self.lost_connections = LostConnections(reactor.seconds)
        self.frame_encoder = FrameEncoder()
        interval, timeout = limits.ping_interval, limits.ping_timeout
        self.keep_alive = KeepAlive(reactor, interval, min(timeout, interval)) if interval else None
        self.partial_messages = PartialMessages(
            reactor, limits.max_unfinished, limits.message_timeout, metrics
        )
        self.setProtocolOptions(
            versions=[13],
            webStatus=False,
            # One byte more than the limit: Autobahn may cut a compressed message at its limit and
            # call onMessage with it. A message of this size is refused there.
            maxMessagePayloadSize=limits.max_message_size + 1,
            failByDrop=False,
            # Autobahn's timeouts use the global reactor and whole seconds; we have our own.
            openHandshakeTimeout=0,
            closeHandshakeTimeout=0,
        )
        self.specialize(self.protocol)

    def make_connection(self, peer: IAddress) -> GatewayProtocol:
        """Return the protocol of a new connection, which has no transport yet."""
        return cast(GatewayProtocol, self.buildProtocol(peer))


def _is_close_code(code: int) -> bool:
    """Return whether a close frame can have this code: RFC 6455, section 7.4; IANA's registry."""
    return code in _CLOSE_CODES or 3000 <= code <= 4999
