"""What is sent to a peer, as fast as it reads: messages, pongs, and pings when it is slow."""

from collections.abc import Callable
from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from phpgw.hub.commands import Target
from phpgw.websocket.inbound import InboundProtocol
from phpgw.websocket.outbox import Outbox, drop_unsent, unsent_bytes

# How many pings a peer may leave without answer that does not read on.
_SLOW_CHECKS = 4
# Seconds between two looks at whether there is room again: a transport tells only when it is empty,
# which it may never be for one that keeps pace.
_LOOK_SECONDS = 0.2


@implementer(IPushProducer)
class OutboundProtocol(InboundProtocol):
    """A protocol that holds what is sent to the limits.

    :ivar factory: which has the limits (:class:`~.limits.WebSocketLimits`), the reactor,
        the metrics, and what makes frames (:class:`phpgw.websocket.frames.FrameEncoder`).
    """

    _perMessageCompress: Any
    _outbox: Outbox | None = None
    _look_call: IDelayedCall | None = None
    _window_bits: int | None = None
    _messages_out = 0

    def close(self, code: int, reason: str) -> None:
        """Start the closing handshake."""
        raise NotImplementedError

    # phpgw.hub.client.Connection

    def send_message(self, payload: bytes, is_binary: bool, target: Target | None = None) -> None:
        if self.state != self.STATE_OPEN:
            if self.is_pending:
                self._keep_until_open(payload, is_binary)
            return
        factory = self.factory
        outbox = self._outbox
        # Not sendMessage, which holds what we send to the limit of what we receive.
        frame = factory.frame_encoder.encode(payload, is_binary, self._window_bits)
        if outbox is not None:
            if outbox.is_full(unsent_bytes(self.transport)):
                factory.metrics.slow_consumers_closed += 1
                self.close(1008, "messages are not read fast enough (--max-outbox)")
                return
            outbox.written += len(frame)
        self._messages_out += 1
        factory.metrics.messages_sent += 1
        factory.batch_writer.write(self.transport, frame)

    def gather_message(self, payload: bytes, is_binary: bool, target: Target | None = None) -> None:
        if self.state != self.STATE_OPEN or self._outbox is not None:
            self.send_message(payload, is_binary)
            return
        factory = self.factory
        self._messages_out += 1
        factory.metrics.messages_sent += 1
        frame = factory.frame_encoder.encode(payload, is_binary, self._window_bits)
        factory.batch_writer.add(self.transport, frame)

    def when_writable(self, call: Callable[[], None]) -> bool:
        if self._outbox is None or self.state != self.STATE_OPEN:
            return False
        self._outbox.callbacks.append(call)
        self._look_later()
        return True

    # What Autobahn and the transport tell.

    def onOpen(self) -> None:
        super().onOpen()
        # In place of the HTTP channel, which had the transport before.
        self.unregisterProducer()
        self.registerProducer(self, True)
        if self._perMessageCompress is not None:
            self._window_bits = self._perMessageCompress.server_max_window_bits

    def onPing(self, payload: bytes) -> None:  # noqa: N802
        super().onPing(payload)
        if self.state != self.STATE_OPEN:
            return
        outbox = self._outbox
        if outbox is None or outbox.has_room(unsent_bytes(self.transport)):
            self.sendPong(payload)
        else:
            # Pongs would pile up; the last ping's will do for all: RFC 6455, section 5.5.3.
            outbox.ping = payload
            self._look_later()

    def pauseProducing(self) -> None:
        """Count what comes on top of a transport's buffer that is full."""
        if self._outbox is None:
            buffered = min(unsent_bytes(self.transport), FileDescriptor.bufferSize)
            self._outbox = Outbox(self.factory.limits.max_outbox, buffered)

    def resumeProducing(self) -> None:
        """Send what waits for an empty buffer."""
        self.flush_outbox()

    def stopProducing(self) -> None:
        """Do nothing: the transport is gone, and connectionLost follows."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        # Whoever waits to send more has been told by the relay.
        self._outbox = None
        if self._look_call is not None and self._look_call.active():
            self._look_call.cancel()
        self._look_call = None
        transport = self.transport
        if self.state != self.STATE_CLOSED:
            # TLS keeps its producer for ever.
            self.unregisterProducer()
        super().connectionLost(reason)
        drop_unsent(transport)

    # For the protocol that this is part of.

    @property
    def is_pending(self) -> bool:
        """Return whether PHP is being asked about it, and has not had it closed."""
        raise NotImplementedError

    def flush_outbox(self) -> None:
        """Send what was kept, since nothing waits in the transport any more."""
        outbox, self._outbox = self._outbox, None
        if outbox is None:
            return
        for payload, is_binary in outbox.messages:
            self.send_message(payload, is_binary)
        self._use_room(outbox)

    def note_data(self) -> None:
        """Note that the peer is there."""
        if self._outbox is not None:
            self._outbox.unanswered_pings = 0

    def may_be_alive(self) -> bool:
        """Tell whether a ping that is not answered says nothing."""
        outbox = self._outbox
        if outbox is None:
            # The answer may wait behind the messages that we do not read.
            return not self.is_reading
        # The ping may wait behind those that the peer takes its time to read.
        return outbox.count_ping(unsent_bytes(self.transport)) < _SLOW_CHECKS

    def _keep_until_open(self, payload: bytes, is_binary: bool) -> None:
        if self._outbox is None:
            self._outbox = Outbox(self.factory.limits.max_outbox)
        if not self._outbox.keep(payload, is_binary):
            self.factory.metrics.slow_consumers_closed += 1
            self.close(1008, "too many messages before the first was read (--max-outbox)")

    def _look_later(self) -> None:
        if self._look_call is None:
            self._look_call = self.factory.reactor.callLater(_LOOK_SECONDS, self._look)

    def _look(self) -> None:
        """See whether there is room for those that wait for it."""
        self._look_call = None
        outbox = self._outbox
        if outbox is None or self.state != self.STATE_OPEN:
            return
        if outbox.has_room(unsent_bytes(self.transport)):
            self._use_room(outbox)
        elif outbox.callbacks or outbox.ping is not None:
            self._look_later()

    def _use_room(self, outbox: Outbox) -> None:
        callbacks, outbox.callbacks = outbox.callbacks, []
        ping, outbox.ping = outbox.ping, None
        if ping is not None:
            self.sendPong(ping)
        for call in callbacks:
            call()
