"""A connection to Redis or Valkey: requests and their replies, and frames from channels (RESP3)."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast

import attrs
from hiredis import ProtocolError, PushNotification, Reader, ReplyError, pack_command
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.bus.connect_errors import explain
from phpgw.bus.interface import BusUnavailable
from phpgw.log_limit import line_limit

# More than these wait for no reply: the engine is too slow then.
_MAX_PENDING = 100_000
_MAX_PENDING_BYTES = 64 * 1024**2

Words = tuple[bytes | int | str, ...]
"""A command: its name and its arguments."""

# Its types say that a command has one word.
pack = cast(Callable[[Words], bytes], pack_command)
# What the reader returns if it has no complete reply.
_INCOMPLETE = object()
# Errors after which nothing can be asked on this connection, or at this server: it is a replica
# now, or loads its data, or does not know who asks.
_FATAL = frozenset(("READONLY", "LOADING", "MASTERDOWN", "NOAUTH"))


class EngineError(BusUnavailable):
    """The engine's reply is an error.

    :ivar code: its first word, such as ``NOSCRIPT``.
    """

    def __init__(self, text: str) -> None:
        super().__init__(f"the engine replied: {text}")
        self.code = text.partition(" ")[0]


@attrs.define(eq=False)
class PendingRequest:
    """A request that waits for its reply.

    :ivar size: its bytes.
    :ivar confirmations: how many channels have yet to be confirmed, which comes in place of a
        reply.
    """

    deferred: Deferred[Any]
    size: int
    confirmations: int = 0


class RedisConnection(Protocol):
    """A connection to the engine.

    :param received: called with channel and frame.
    """

    log = Logger(observer=line_limit)
    transport: Any = None

    def __init__(self, received: Callable[[bytes, bytes], None]) -> None:
        self._received = received
        self._reader = Reader(notEnoughData=_INCOMPLETE)
        self._pending: deque[PendingRequest] = deque()
        self._pending_bytes = 0
        self._end: str | None = None
        self._ended: Deferred[str] = Deferred()

    def __len__(self) -> int:
        """Return how many requests wait for their replies."""
        return len(self._pending)

    @property
    def oldest(self) -> PendingRequest | None:
        """Return the request that waits longest for its reply; ``None`` if there is none."""
        return self._pending[0] if self._pending else None

    def when_ended(self) -> Deferred[str]:
        """Return the one Deferred that fires with why the connection has ended."""
        return self._ended

    def connectionMade(self) -> None:
        """Send requests at once, and have the system notice a peer that is gone."""
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
            self.transport.setTcpKeepAlive(True)

    def request(self, words: Words) -> Deferred[Any]:
        """Send a command; fire with its reply.

        :returns: fails with an :exc:`EngineError`, or another :exc:`BusUnavailable`.
        """
        if self._end is not None:
            return fail(BusUnavailable(self._end))
        if len(self._pending) >= _MAX_PENDING or self._pending_bytes >= _MAX_PENDING_BYTES:
            return fail(BusUnavailable(f"{len(self._pending)} requests wait for the engine"))
        deferred: Deferred[Any] = Deferred()
        self._send(words, deferred)
        return deferred

    def subscribe(self, channels: Sequence[bytes]) -> Deferred[None]:
        """Subscribe to some channels, one at least; fire once that is in force."""
        return self._change(b"SUBSCRIBE", channels)

    def unsubscribe(self, channels: Sequence[bytes]) -> Deferred[None]:
        """End some subscriptions, one at least; fire once that is done."""
        return self._change(b"UNSUBSCRIBE", channels)

    def close(self) -> None:
        """Send what waits to be sent, and close the connection."""
        if self._end is None:
            self.transport.loseConnection()

    def end(self, reason: str) -> None:
        """Abort the connection, and fail what is pending."""
        if self._end is not None:
            return
        self._end = reason
        if self.transport is not None:
            self.transport.abortConnection()
        pending, self._pending = self._pending, deque()
        self._pending_bytes = 0
        # First, so that nobody who is told of a failure asks on this connection again.
        self._ended.callback(reason)
        for request in pending:
            request.deferred.errback(BusUnavailable(reason, may_be_done=True))

    def dataReceived(self, data: bytes) -> None:
        """Hand out replies and frames."""
        self._reader.feed(data)
        try:
            while (item := self._reader.gets()) is not _INCOMPLETE and self._end is None:
                if type(item) is PushNotification:
                    self._take_push(item)
                else:
                    self._take_reply(item)
        except ProtocolError as error:
            self.end(f"the engine does not speak RESP3 ({error})")

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """Fail what is pending."""
        assert reason.value is not None
        self.end(explain(reason.value))

    def _change(self, command: bytes, channels: Sequence[bytes]) -> Deferred[None]:
        """Subscribe, or end subscriptions. There is no limit but the number of channels."""
        if self._end is not None:
            return fail(BusUnavailable(self._end))
        done: Deferred[None] = Deferred()
        self._send((command, *channels), done, len(channels))
        return done

    def _send(self, words: Words, deferred: Deferred[Any], confirmations: int = 0) -> None:
        data = pack(words)
        self._pending.append(PendingRequest(deferred, len(data), confirmations))
        self._pending_bytes += len(data)
        self.transport.write(data)

    def _take_push(self, push: list[Any]) -> None:
        if push[0] == b"message":
            try:
                self._received(push[1], push[2])
            except Exception:
                self.log.failure("A frame could not be handled")
        elif push[0] in (b"subscribe", b"unsubscribe"):
            self._take_confirmation()

    def _take_confirmation(self) -> None:
        request = self._pending[0] if self._pending else None
        if request is None or not request.confirmations:
            self.end("the engine confirmed a subscription that was not asked for")
            return
        request.confirmations -= 1
        if not request.confirmations:
            self._take_oldest().callback(None)

    def _take_reply(self, reply: Any) -> None:
        is_error = isinstance(reply, ReplyError)
        # A subscription is confirmed, and only refused by a reply.
        if not self._pending or (self._pending[0].confirmations and not is_error):
            self.end("the engine replied to what was not asked")
            return
        deferred = self._take_oldest()
        if not is_error:
            deferred.callback(reply)
            return
        error = EngineError(str(reply))
        deferred.errback(error)
        if error.code in _FATAL:
            # Another server may be the right one now, or this one with the next connection.
            self.end(str(error))

    def _take_oldest(self) -> Deferred[Any]:
        request = self._pending.popleft()
        self._pending_bytes -= request.size
        return request.deferred
