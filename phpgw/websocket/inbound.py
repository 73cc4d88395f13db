"""Receiving from a peer: limits on size, fragments and rate; pausing and resuming.

If a peer sends too fast, reading is paused, so that TCP slows it down. If that does not help, or if
a message is too large, the connection is failed (RFC 6455, section 7.1.7).
"""

from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from phpgw.websocket.autobahn_slim import SlimProtocol
from phpgw.websocket.rate_limit import FRAGMENT, MESSAGE, TokenBucket
from phpgw.websocket.short_frame import MAX_SIZE, MIN_SIZE, parse_close_frame, parse_text_frame

# Reasons for which reading is paused; there can be several at the same time.
_INBOX_FULL, _RATE_LIMITED, _STOPPED, _DISCARDING = 1, 2, 4, 8
# Reasons for which parsing of data that was read is paused, too.
_PARSING_PAUSED = _INBOX_FULL | _RATE_LIMITED | _DISCARDING
# The size of the longest frame header: RFC 6455, section 5.2.
_MAX_HEADER_SIZE = 14


class InboundProtocol(SlimProtocol):
    """A protocol that applies the limits to what its peer sends.

    :ivar factory: has the limits (:class:`~.limits.WebSocketLimits`), the reactor, the metrics and
        the partly received messages (:class:`~.partial_messages.PartialMessages`).
    :ivar close_cause: why the connection is closed (:data:`phpgw.metrics.CLOSE_CAUSES`).
    :ivar has_data: is set when the peer has sent data.
    """

    factory: Any
    current_frame: Any
    data: bytes
    inside_message: bool
    message_data_total_length: int
    maxMessagePayloadSize: int  # noqa: N815
    has_data = False
    # Defaults of the class save memory: most connections keep them.
    close_cause = "lost"
    _pause_reasons = 0
    _is_parsing = False
    _fragment_count = 0
    _is_partial = False
    _bucket: TokenBucket | None = None
    _resume_call: IDelayedCall | None = None

    @property
    def is_reading(self) -> bool:
        """Return whether bytes of the peer are read at the moment."""
        return not self._pause_reasons

    def pause_reading(self) -> None:
        """Pause reading and parsing, since the inbox is full; TCP slows the peer down."""
        # In a closing handshake, the close frame of the peer must be read.
        if self.state == self.STATE_OPEN and not self._pause_reasons & _INBOX_FULL:
            self.factory.metrics.inboxes_full += 1
            self._pause(_INBOX_FULL)

    def resume_reading(self) -> None:
        """Resume reading and parsing, unless it is paused for another reason."""
        if self._is_partial and self._pause_reasons & _INBOX_FULL:
            self.factory.partial_messages.restart(self)
        self._resume(_INBOX_FULL)

    @property
    def has_unparsed_data(self) -> bool:
        """Return whether there is data that was read and not parsed yet."""
        return bool(self._pause_reasons & _PARSING_PAUSED) and bool(self.data)

    def stop_reading(self) -> None:
        """Stop reading for good; messages that were read completely are still handled."""
        if self.state == self.STATE_OPEN:
            self._pause(_STOPPED)
            # The rest of a partly received message will not be read.
            self._remove_partial_message()

    def resume_for_close_frame(self) -> None:
        """Resume reading for the peer's close frame; the rate limit still applies."""
        self._resume(_INBOX_FULL | _STOPPED)

    def refuse_message(self, reason: str) -> None:
        """Discard the partly received message, and fail the connection with 1008."""
        self._fail_connection(1008, reason)

    # Called by Autobahn and the transport.

    def dataReceived(self, data: bytes) -> None:
        self.has_data = True
        if MIN_SIZE <= len(data) <= MAX_SIZE and self._receive_short_frame(data):
            return
        if self.state == self.STATE_CLOSED:
            # Over TLS, data can arrive until the peer has closed TLS, too.
            self._pause(_DISCARDING)
            return
        # Autobahn's dataReceived would first format a line for the debug log.
        self._dataReceived(data)

    def onOpen(self) -> None:
        super().onOpen()
        rate = self.factory.limits.rate_limit
        if rate is not None:
            self._bucket = TokenBucket(rate)

    def consumeData(self) -> None:
        # A message can resume reading, which calls this again. Autobahn cannot do that in between.
        if not self._is_parsing:
            self._is_parsing = True
            try:
                super().consumeData()
            finally:
                self._is_parsing = False
            self._update_after_parsing()

    def processData(self) -> bool:
        # Autobahn would parse all data that was read.
        return not self._pause_reasons & _PARSING_PAUSED and super().processData()

    def onMessageFrameBegin(self, length: int) -> None:
        # Without a call of Autobahn's method, which limits only the size.
        self.message_data_total_length += length
        if self.current_frame.opcode:
            self._fragment_count = 1
            self._take_tokens(MESSAGE)
        else:
            self._fragment_count += 1
            self._take_tokens(FRAGMENT)
        if self.failedByMe:
            return
        limits = self.factory.limits
        if self.message_data_total_length > self.maxMessagePayloadSize:
            self.refuse_too_large()
        elif limits.max_frame_size is not None and length > limits.max_frame_size:
            self.factory.metrics.frames_too_large += 1
            self._fail_connection(
                1009, f"a frame may have {limits.max_frame_size} bytes at most (--max-frame-size)"
            )
        elif 0 < limits.max_fragments < self._fragment_count:
            self.factory.metrics.messages_too_fragmented += 1
            self._fail_connection(
                1008, f"a message may have {limits.max_fragments} frames at most (--max-fragments)"
            )

    def onMessageEnd(self) -> None:
        self._remove_partial_message()
        super().onMessageEnd()

    def onPing(self, payload: bytes) -> None:  # noqa: N802
        self._take_tokens(MESSAGE)

    def onPong(self, payload: bytes) -> None:  # noqa: N802
        self._take_tokens(MESSAGE)

    def sendCloseFrame(self, *args: Any, **kwargs: Any) -> None:
        super().sendCloseFrame(*args, **kwargs)
        # Messages that arrive from now on are ignored.
        if self.message_data:
            self.message_data = []
        self._remove_partial_message()

    def dropConnection(self, abort: bool = False) -> None:  # noqa: N802
        super().dropConnection(abort)
        self._remove_partial_message()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._resume_call is not None and self._resume_call.active():
            self._resume_call.cancel()
        self._resume_call = None
        super().connectionLost(reason)
        self._remove_partial_message()

    def refuse_too_large(self) -> None:
        """Fail the connection with 1009: the message is too large (RFC 6455, section 7.4.1)."""
        self.factory.metrics.messages_too_large += 1
        limit = self.factory.limits.max_message_size
        self._fail_connection(
            1009, f"a message may have {limit} bytes at most (--max-message-size)"
        )

    def _max_message_size_exceeded(self, *_: object) -> None:
        # Called by Autobahn while it decompresses a message.
        self.refuse_too_large()

    def _receive_short_frame(self, data: bytes) -> bool:
        """Receive a short text message, within the limits, or a close frame, if it was read alone.

        :returns: whether it was; if not, nothing has changed.
        """
        if (
            self._pause_reasons
            or self.data
            or self.current_frame is not None
            or self.inside_message
            or self._is_parsing
            or self.state != self.STATE_OPEN
        ):
            # No frame can start here, or it must wait.
            return False
        text = parse_text_frame(data)
        factory = self.factory
        if text is None:
            closing = parse_close_frame(data)
            if closing is not None:
                self.onCloseFrame(*closing)
            return closing is not None
        if len(text) > factory.limits.max_plain_size:
            return False
        bucket = self._bucket
        if bucket is not None and not bucket.try_take(MESSAGE, factory.reactor.seconds()):
            return False
        self.onMessage(text, False)
        return True

    def _update_after_parsing(self) -> None:
        """Update the partly received message after parsing; discard data that is not needed."""
        if self.state == self.STATE_OPEN:
            if self.inside_message and not self._pause_reasons & _STOPPED:
                self._is_partial = True
                self.factory.partial_messages.update(self, sum(map(len, self.message_data)))
            elif self._is_partial:
                self._remove_partial_message()
        elif self.state == self.STATE_CLOSED:
            self.data = b""
        elif (
            self.state == self.STATE_CLOSING
            and not self._pause_reasons
            and len(self.data) > _MAX_HEADER_SIZE
        ):
            # The frame is invalid, and so is all that follows.
            self.data = b""
            self._pause(_DISCARDING)

    def _remove_partial_message(self) -> None:
        if self._is_partial:
            self._is_partial = False
            self.factory.partial_messages.remove(self)

    def _take_tokens(self, count: float) -> None:
        bucket = self._bucket
        if bucket is not None:
            now = self.factory.reactor.seconds()
            if pause := bucket.take(count, now):
                self._throttle(pause, is_final=bucket.is_out_of_patience(now))

    def _throttle(self, pause: float, *, is_final: bool) -> None:
        metrics = self.factory.metrics
        metrics.rate_pauses += 1
        if is_final and self.state == self.STATE_OPEN:
            metrics.floods_closed += 1
            self.close_cause = "rate"
            self._fail_connection(1008, "messages come too fast (--max-message-rate)")
        # Also in a closing handshake, until the close frame of the peer arrives.
        self._pause(_RATE_LIMITED)
        self._resume_call = self.factory.reactor.callLater(pause, self._resume, _RATE_LIMITED)

    def _pause(self, reason: int) -> None:
        if not self._pause_reasons:
            self.transport.pauseProducing()
        self._pause_reasons |= reason

    def _resume(self, reason: int) -> None:
        if self._pause_reasons & reason:
            self._pause_reasons &= ~reason
            if not self._pause_reasons:
                self.transport.resumeProducing()
            self.consumeData()
