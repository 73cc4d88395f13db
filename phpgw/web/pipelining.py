"""HTTP pipelining (RFC 9112, section 9.3.2) with fair turns, and a lingering close.

In each turn, a connection gets one request handled, or a chunk of a body read. The bytes behind it
stay unread until the other connections had their turn, and until the peer has read the responses to
its earlier requests. Meanwhile nothing more is read from the socket, so TCP slows the peer down.
"""

from collections import deque
from typing import Any

from twisted.internet.interfaces import IReactorTime, ISSLTransport, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import Request

from phpgw.web.idle_connections import IdleTrackingChannel

# The limits, in one turn of the reactor, for connections that have sent more than one request.
_MAX_REQUESTS = 16
_MAX_SECONDS = 0.004
# How many bytes of a body count as one request.
_BODY_CHUNK = 8192
# How many bytes are read and discarded during a lingering close.
_MAX_DISCARDED = 65536
# How long a peer has to read the last response, in a lingering close.
_LINGERING_SECONDS = 15
# The same, for a peer that may send the whole body before it reads.
_LONG_LINGERING_SECONDS = 60


class PipelineScheduler:
    """Takes turns between connections that have received more than one request."""

    def __init__(self, reactor: IReactorTime) -> None:
        self._reactor = reactor
        self._waiting: deque[PipeliningChannel] = deque()
        self._is_scheduled = False

    @property
    def is_busy(self) -> bool:
        """Return whether any connection waits for its turn."""
        return bool(self._waiting)

    def add(self, channel: "PipeliningChannel") -> None:
        """Queue a connection for its next turn."""
        self._waiting.append(channel)
        self._schedule()

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._reactor.callLater(0, self._run)

    def _run(self) -> None:
        end = self._reactor.seconds() + _MAX_SECONDS
        for _ in range(_MAX_REQUESTS):
            self._waiting.popleft().take_turn()
            if not self._waiting or self._reactor.seconds() >= end:
                break
        self._is_scheduled = False
        if self._waiting:
            self._schedule()


class PipeliningChannel(IdleTrackingChannel):
    """An HTTP connection that reads one request in each of its turns.

    It splits the lines itself. Twisted's LineReceiver would process everything that was received,
    and copy all of it for each line.

    :ivar is_closing: whether the connection is about to close. Further bytes are then discarded.
    :ivar expects_body: whether the last request gets its response before its body is complete.
    """

    is_closing = False
    expects_body = False
    _networkProducer: Any  # noqa: N815
    _dataBuffer: list[bytes]  # noqa: N815
    _handlingRequest: bool  # noqa: N815
    _waitingForTransport: bool  # noqa: N815
    _transferDecoder: Any  # noqa: N815
    # Whether this turn's request, or chunk of a body, has been handled.
    _turn_is_over = False
    _is_queued = False
    _is_reading = False
    # The unread bytes up to here contain no end of a line.
    _searched = 0
    # How many bytes were discarded since the lingering close began.
    _discarded = 0

    def __init__(self) -> None:
        super().__init__()
        self._unread = bytearray()

    def dataReceived(self, data: bytes) -> None:
        if self.is_closing:
            # The peer may still send while it has not read the last response.
            self._discarded += len(data)
            if self._discarded > _MAX_DISCARDED and not self.expects_body:
                self._networkProducer.pauseProducing()
            return
        self._unread += data
        if self._is_queued or self._is_blocked:
            self._networkProducer.pauseProducing()
        else:
            self.read_request()

    def take_turn(self) -> None:
        """Read the next request, as the scheduler's turn has come to this connection."""
        self._is_queued = False
        if self._is_blocked or self.is_closing:
            return
        self._networkProducer.resumeProducing()
        self.read_request()

    def read_request(self) -> None:
        """Read a request, or a chunk of its body. Queue the rest for the next turn."""
        self._turn_is_over, self._is_reading = False, True
        is_complete = True
        while is_complete and self._unread and not self._turn_is_over:
            if self.line_mode:
                is_complete = self._read_line()
            elif self._handlingRequest:
                break
            else:
                self._read_body_chunk()
        self._is_reading = False
        if is_complete and self._unread:
            self._queue_unread()

    def take_unread(self) -> bytes:
        """Return the bytes behind the request that is being handled, and forget them."""
        unread = b"".join((*self._dataBuffer, self._unread))
        self._dataBuffer = []
        self._unread.clear()
        if unread:
            self._networkProducer.resumeProducing()
        return unread

    def setLineMode(self, extra: bytes = b"") -> None:  # noqa: N802
        """Expect a request. It may begin with the bytes behind the last request's body."""
        self.line_mode = 1
        self._unread[:0] = extra
        self._searched = 0

    def requestDone(self, request: Request) -> None:  # noqa: N802
        super().requestDone(request)
        self._turn_is_over = True
        if self._unread and not self._is_reading:
            self._queue_unread()

    def pauseProducing(self) -> None:
        """Stop reading from the peer, since the peer does not read its responses."""
        super().pauseProducing()
        # twisted.web stops reading only while no request is being handled. But usually one is, as
        # its response is what fills the buffer.
        self._networkProducer.pauseProducing()

    def resumeProducing(self) -> None:
        """Read from the peer again, since it has read all of its responses."""
        super().resumeProducing()
        if self._unread:
            self._queue_unread()
        else:
            self._networkProducer.resumeProducing()

    def loseConnection(self) -> None:
        if self._unread or self._dataBuffer or self.expects_body:
            self.close_lingering()
        elif not self.is_closing:
            self._start_closing()
            super().loseConnection()

    def close_lingering(self) -> None:
        """Close the connection of a peer that may still be sending (RFC 9112, section 9.6).

        If received bytes stay unread, the kernel resets the connection, and the last response is
        lost. So only the sending direction is closed first. The rest follows when the peer closes
        its own, or after a timeout. (TLS does the same by itself.)
        """
        if self.is_closing:
            return
        self._start_closing()
        self.setTimeout(_LONG_LINGERING_SECONDS if self.expects_body else _LINGERING_SECONDS)
        transport = self.transport
        if ISSLTransport.providedBy(transport) or not ITCPTransport.providedBy(transport):
            super().loseConnection()
        else:
            self._networkProducer.unregisterProducer()
            self._networkProducer.resumeProducing()
            transport.loseWriteConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._start_closing()
        super().connectionLost(reason)

    @property
    def _is_blocked(self) -> bool:
        """Return whether the next request must wait, for a response or for the peer to read."""
        return self._handlingRequest or self._waitingForTransport

    def _start_closing(self) -> None:
        self.is_closing = True
        self._unread.clear()

    def _queue_unread(self) -> None:
        self._networkProducer.pauseProducing()
        if not self._is_queued and not self._is_blocked:
            self._is_queued = True
            self.site.pipeline_scheduler.add(self)

    def _read_line(self) -> bool:
        """Read a line. Return whether a complete one was there."""
        unread = self._unread
        end = unread.find(b"\r\n", self._searched)
        if end < 0:
            self._searched = len(unread) - 1
            if self._searched > self.MAX_LENGTH:
                self.lineLengthExceeded(b"")
            return False
        if end > self.MAX_LENGTH:
            self.lineLengthExceeded(b"")
            return False
        line = bytes(unread[:end])
        del unread[: end + 2]
        self._searched = 0
        self.lineReceived(line)
        return True

    def _read_body_chunk(self) -> None:
        # A body of known length costs almost nothing. A chunked one costs time for each chunk.
        size = _BODY_CHUNK if self.length is None else self._transferDecoder.contentLength
        chunk = bytes(self._unread[:size])
        del self._unread[:size]
        self._turn_is_over = True
        self.rawDataReceived(chunk)
