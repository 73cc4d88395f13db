"""Sending to a peer: messages and pongs, and limits for peers that read slowly."""

from abc import ABCMeta, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from phpgw.hub.client import Connection
from phpgw.hub.commands import Target
from phpgw.websocket.inbound import InboundProtocol
from phpgw.websocket.message_sender import message_sender
from phpgw.websocket.outbox import Outbox, drop_unsent, unsent_bytes

# Pings without a response after which a peer that reads nothing is closed.
_MAX_UNANSWERED_PINGS = 4
# Seconds between two checks for room in the transport. The transport itself calls back only when it
# is empty; this may never happen while messages are sent.
_CHECK_INTERVAL = 0.2


@implementer(IPushProducer)
class OutboundProtocol(InboundProtocol, metaclass=ABCMeta):
    """A protocol that limits what is buffered for its peer.

    :ivar window_bits: the size of the window for compressed messages; ``None`` for no compression.
    :ivar messages_out: how many messages were sent.
    :ivar factory: has the limits (:class:`~.limits.WebSocketLimits`), the reactor, the metrics, the
        frame encoder (:class:`~.frames.FrameEncoder`) and the batch writer.
    """

    _perMessageCompress: Any
    _outbox: Outbox | None = None
    _check_call: IDelayedCall | None = None
    window_bits: int | None = None
    messages_out = 0

    @abstractmethod
    def close(self, code: int, reason: str, cause: str = "command") -> None:
        """See :meth:`phpgw.hub.client.Connection.close`."""

    # phpgw.hub.client.Connection

    def send_message(self, payload: bytes, is_binary: bool, target: Target | None = None) -> None:
        if self.state != self.STATE_OPEN:
            if self.is_pending:
                self._keep_until_open(payload, is_binary, target)
            return
        factory = self.factory
        metrics = factory.metrics
        outbox = self._outbox
        # Not Autobahn's sendMessage: it applies the limit of received messages.
        frame = factory.frame_encoder.encode(payload, is_binary, self.window_bits, target)
        if outbox is not None:
            unsent = unsent_bytes(self.transport)
            if unsent > metrics.outbox_bytes_peak:
                metrics.outbox_bytes_peak = unsent
            if outbox.is_full(unsent):
                metrics.slow_consumers_closed += 1
                self.close(1008, "messages are not read fast enough (--max-outbox)", "outbox")
                return
            outbox.written += len(frame)
        self.messages_out += 1
        metrics.messages_sent += 1
        metrics.message_bytes_sent += len(payload)
        self.sendData(frame)

    def message_sender(
        self, payload: bytes, is_binary: bool, target: Target | None = None
    ) -> Callable[[Sequence[Connection]], None]:
        return message_sender(self, payload, is_binary, target)

    def gather_message(self, payload: bytes, is_binary: bool, target: Target | None = None) -> None:
        if self.state != self.STATE_OPEN or self._outbox is not None:
            self.send_message(payload, is_binary, target)
            return
        factory = self.factory
        self.messages_out += 1
        metrics = factory.metrics
        metrics.messages_sent += 1
        metrics.message_bytes_sent += len(payload)
        frame = factory.frame_encoder.encode(payload, is_binary, self.window_bits, target)
        factory.batch_writer.add(self, frame)

    def when_writable(self, call: Callable[[], None]) -> bool:
        if self._outbox is None or self.state != self.STATE_OPEN:
            return False
        self._outbox.callbacks.append(call)
        self._schedule_check()
        return True

    # Called by Autobahn and the transport.

    def onOpen(self) -> None:
        super().onOpen()
        self.registerProducer(self, True)
        # Attributes of its own are found faster than defaults of the class.
        self.messages_out, self.window_bits = 0, None
        if self._perMessageCompress is not None:
            self.window_bits = self._perMessageCompress.server_max_window_bits

    def onPing(self, payload: bytes) -> None:  # noqa: N802
        super().onPing(payload)
        if self.state != self.STATE_OPEN:
            return
        outbox = self._outbox
        if outbox is None or outbox.has_room(unsent_bytes(self.transport)):
            self.sendPong(payload)
        else:
            # Pongs would pile up. A pong for the last ping is enough: RFC 6455, section 5.5.3.
            outbox.ping = payload
            self._schedule_check()

    def pauseProducing(self) -> None:
        """Create the outbox: the transport's buffer is full."""
        self.idle_socket = None
        if self._outbox is None:
            buffered = min(unsent_bytes(self.transport), FileDescriptor.bufferSize)
            self._outbox = Outbox(self.factory.limits.max_outbox, buffered)

    def resumeProducing(self) -> None:
        """Remove the outbox: the transport's buffer is empty."""
        self.flush_outbox()

    def stopProducing(self) -> None:
        """Do nothing: connectionLost follows."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        # The callbacks are not needed: the relay knows that the client has disconnected.
        self._outbox = None
        if self._check_call is not None and self._check_call.active():
            self._check_call.cancel()
        self._check_call = None
        transport = self.transport
        if self.state != self.STATE_CLOSED:
            # Without this, TLS keeps its reference to the producer.
            self.unregisterProducer()
        super().connectionLost(reason)
        drop_unsent(transport)

    # For the subclass.

    @property
    @abstractmethod
    def is_pending(self) -> bool:
        """Return whether the connection is pending, and PHP has not closed it."""

    def flush_outbox(self) -> None:
        """Send the messages that were kept and call those that wait for room; remove the outbox."""
        outbox, self._outbox = self._outbox, None
        if outbox is None:
            return
        for payload, is_binary, target in outbox.messages:
            self.send_message(payload, is_binary, target)
        self._notify_room(outbox)

    def note_response(self) -> None:
        """Note that the peer has sent data since the last ping."""
        if self._outbox is not None:
            self._outbox.unanswered_pings = 0

    def may_be_alive(self) -> bool:
        """Return whether a peer that has not responded to a ping may still be alive."""
        outbox = self._outbox
        if outbox is None:
            # The pong may be behind messages that are not read at the moment.
            return not self.is_reading
        # The ping may be behind messages that the peer has not read yet.
        return outbox.count_ping(unsent_bytes(self.transport)) < _MAX_UNANSWERED_PINGS

    def _keep_until_open(self, payload: bytes, is_binary: bool, target: Target | None) -> None:
        if self._outbox is None:
            self._outbox = Outbox(self.factory.limits.max_outbox)
        if not self._outbox.keep(payload, is_binary, target):
            self.factory.metrics.slow_consumers_closed += 1
            self.close(1008, "too many messages before the first was read (--max-outbox)", "outbox")

    def _schedule_check(self) -> None:
        if self._check_call is None:
            self._check_call = self.factory.reactor.callLater(_CHECK_INTERVAL, self._check_room)

    def _check_room(self) -> None:
        """Check whether there is room; if not, check again later."""
        self._check_call = None
        outbox = self._outbox
        if outbox is None or self.state != self.STATE_OPEN:
            return
        if outbox.has_room(unsent_bytes(self.transport)):
            self._notify_room(outbox)
        elif outbox.callbacks or outbox.ping is not None:
            self._schedule_check()

    def _notify_room(self, outbox: Outbox) -> None:
        callbacks, outbox.callbacks = outbox.callbacks, []
        ping, outbox.ping = outbox.ping, None
        if ping is not None:
            self.sendPong(ping)
        for call in callbacks:
            call()
