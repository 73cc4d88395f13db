"""What is taken from a peer: how large, in how many pieces, how fast, and when nothing is.

Whoever sends more than it may is read from more slowly, if that helps, so that TCP pushes back;
and is told to go if it does not.
"""

from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from phpgw.websocket.autobahn_slim import SlimProtocol
from phpgw.websocket.rate_limit import FRAGMENT, MESSAGE, TokenBucket
from phpgw.websocket.short_frame import MAX_SIZE, MIN_SIZE, parse_text_frame

# Why nothing is read from a peer at the moment; there can be several reasons.
_INBOX, _RATE, _END, _OVER = 1, 2, 4, 8
# Those for which what was read already has to wait, too.
_NOT_PARSED = _INBOX | _RATE | _OVER
# The longest head of a frame: RFC 6455, section 5.2.
_LONGEST_HEAD = 14


class InboundProtocol(SlimProtocol):
    """A protocol that holds its peer to the limits.

    :ivar factory: which has the limits (:class:`~.limits.WebSocketLimits`), the reactor
        and the metrics.
    """

    factory: Any
    current_frame: Any
    data: bytes
    inside_message: bool
    message_data_total_length: int
    maxMessagePayloadSize: int  # noqa: N815
    # Here, since most connections never have others.
    _holds = 0
    _consuming = False
    _fragments = 0
    _is_unfinished = False
    _bucket: TokenBucket | None = None
    _release_call: IDelayedCall | None = None

    @property
    def is_reading(self) -> bool:
        """Whether bytes from the peer are read."""
        return not self._holds

    def pause_reading(self) -> None:
        """Take no further messages from the peer for now; TCP pushes back."""
        # The answer to a close frame has to be read.
        if self.state == self.STATE_OPEN and not self._holds & _INBOX:
            self.factory.metrics.inboxes_full += 1
            self._hold(_INBOX)

    def resume_reading(self) -> None:
        """Take messages again, unless there have been too many."""
        if self._is_unfinished and self._holds & _INBOX:
            self.factory.partial_messages.restart(self)
        self._release(_INBOX)

    @property
    def has_unparsed_data(self) -> bool:
        """Return whether something that was read waits to be parsed."""
        return bool(self._holds & _NOT_PARSED) and bool(self.data)

    def stop_reading(self) -> None:
        """Read no further messages at all; those that were read are taken, as far as they go."""
        if self.state == self.STATE_OPEN:
            self._hold(_END)
            # What is missing of a message will not come.
            self._forget_message()

    def resume_for_close_frame(self) -> None:
        """Read, if not faster than is allowed, since the answer to a close frame is to come."""
        self._release(_INBOX | _END)

    def refuse_message(self, reason: str) -> None:
        """Give up the message that is coming, and close with 1008."""
        self._fail_connection(1008, reason)

    # What Autobahn and the transport tell.

    def dataReceived(self, data: bytes) -> None:
        if self.state == self.STATE_CLOSED:
            # A peer over TLS can be heard until it, too, has closed that.
            self._hold(_OVER)
            return
        if MIN_SIZE <= len(data) <= MAX_SIZE and self._is_at_rest():
            text = parse_text_frame(data)
            if text is not None and self._takes_freely(len(text)):
                self.onMessage(text, False)
                return
        # Autobahn's own makes arguments for a line in the debug log first.
        self._dataReceived(data)

    def onOpen(self) -> None:
        super().onOpen()
        rate = self.factory.limits.rate_limit
        if rate is not None:
            self._bucket = TokenBucket(rate)

    def consumeData(self) -> None:
        # A message may lead to more being wanted at once; Autobahn is not done with it by then.
        if not self._consuming:
            self._consuming = True
            try:
                super().consumeData()
            finally:
                self._consuming = False
            self._look_at_rest()

    def processData(self) -> bool:
        # Autobahn would go on with what it has read already, however much that is.
        return not self._holds & _NOT_PARSED and super().processData()

    def onMessageFrameBegin(self, length: int) -> None:
        # In place of Autobahn's own, which has no limit but that of the size.
        self.message_data_total_length += length
        if self.current_frame.opcode:
            self._fragments = 1
            self._count(MESSAGE)
        else:
            self._fragments += 1
            self._count(FRAGMENT)
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
        elif 0 < limits.max_fragments < self._fragments:
            self.factory.metrics.messages_too_fragmented += 1
            self._fail_connection(
                1008, f"a message may have {limits.max_fragments} frames at most (--max-fragments)"
            )

    def onMessageEnd(self) -> None:
        self._forget_message()
        super().onMessageEnd()

    def onPing(self, payload: bytes) -> None:  # noqa: N802
        self._count(MESSAGE)

    def onPong(self, payload: bytes) -> None:  # noqa: N802
        self._count(MESSAGE)

    def sendCloseFrame(self, *args: Any, **kwargs: Any) -> None:
        super().sendCloseFrame(*args, **kwargs)
        # Nothing that is sent from now on is wanted.
        if self.message_data:
            self.message_data = []
        self._forget_message()

    def dropConnection(self, abort: bool = False) -> None:  # noqa: N802
        super().dropConnection(abort)
        self._forget_message()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._release_call is not None and self._release_call.active():
            self._release_call.cancel()
        self._release_call = None
        super().connectionLost(reason)
        self._forget_message()

    def refuse_too_large(self) -> None:
        """Tell the peer that its message is too large: RFC 6455, section 7.4.1."""
        self.factory.metrics.messages_too_large += 1
        limit = self.factory.limits.max_message_size
        self._fail_connection(
            1009, f"a message may have {limit} bytes at most (--max-message-size)"
        )

    def _max_message_size_exceeded(self, *_: object) -> None:
        # Autobahn has found out while it decompressed.
        self.refuse_too_large()

    def _is_at_rest(self) -> bool:
        """Tell whether nothing has been read that is not done with, and the next may be taken."""
        return (
            self.state == self.STATE_OPEN
            and not self._holds
            and not self.data
            and self.current_frame is None
            and not self.inside_message
            and not self._consuming
        )

    def _takes_freely(self, size: int) -> bool:
        """Tell whether a message of this size, in one frame, is within all limits, and count it."""
        if size > self.factory.limits.max_plain_size:
            return False
        bucket = self._bucket
        return bucket is None or bucket.try_take(MESSAGE, self.factory.reactor.seconds())

    def _look_at_rest(self) -> None:
        """See what is left once all has been parsed that may be."""
        if self.state == self.STATE_OPEN:
            if self.inside_message and not self._holds & _END:
                self._is_unfinished = True
                self.factory.partial_messages.update(self, sum(map(len, self.message_data)))
            elif self._is_unfinished:
                self._forget_message()
        elif self.state == self.STATE_CLOSED:
            self.data = b""
        elif (
            self.state == self.STATE_CLOSING and not self._holds and len(self.data) > _LONGEST_HEAD
        ):
            # There is nothing in it that could become a frame again.
            self.data = b""
            self._hold(_OVER)

    def _forget_message(self) -> None:
        if self._is_unfinished:
            self._is_unfinished = False
            self.factory.partial_messages.remove(self)

    def _count(self, count: float) -> None:
        bucket = self._bucket
        if bucket is not None:
            now = self.factory.reactor.seconds()
            if pause := bucket.take(count, now):
                self._throttle(pause, is_hopeless=bucket.is_out_of_patience(now))

    def _throttle(self, pause: float, *, is_hopeless: bool) -> None:
        metrics = self.factory.metrics
        metrics.rate_pauses += 1
        if is_hopeless and self.state == self.STATE_OPEN:
            metrics.floods_closed += 1
            self._fail_connection(1008, "messages come too fast (--max-message-rate)")
        # Also while the peer has yet to answer the close frame.
        self._hold(_RATE)
        self._release_call = self.factory.reactor.callLater(pause, self._release, _RATE)

    def _hold(self, reason: int) -> None:
        if not self._holds:
            self.transport.pauseProducing()
        self._holds |= reason

    def _release(self, reason: int) -> None:
        if self._holds & reason:
            self._holds &= ~reason
            if not self._holds:
                self.transport.resumeProducing()
            self.consumeData()
