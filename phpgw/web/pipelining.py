"""HTTP connections that take turns: requests that come together are answered a few at a time.

Of what a connection brings, one request is answered at once, or a piece of one is read. What is
behind it waits, unread, until the other connections have had their turn, and until the peer has
read the answers to what it has asked. Meanwhile nothing more is read from it: TCP pushes back.
"""

from collections import deque
from typing import Any

from twisted.internet.interfaces import IReactorTime, ISSLTransport, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import Request

from phpgw.web.idle_connections import IdleTrackingChannel

# How much is done in one turn of the reactor for connections that have sent more than one request:
# so many requests, unless they take longer than this many seconds.
_MOST = 16
_SECONDS = 0.004
# How much of a body counts as one.
_PIECE = 8192
# How much may come after the end before nothing more is read.
_MOST_LATE = 65536
# How long a peer is given to read why its connection ends.
_FAREWELL_SECONDS = 15
# The same, where it may have to send all of a body first.
_LONG_FAREWELL_SECONDS = 60


class PipelineScheduler:
    """Lets connections read on that have more than they could read at once, in turns."""

    def __init__(self, reactor: IReactorTime) -> None:
        self._reactor = reactor
        self._waiting: deque[PipeliningChannel] = deque()
        self._is_called = False

    @property
    def is_busy(self) -> bool:
        """Return whether a connection waits for its turn."""
        return bool(self._waiting)

    def add(self, channel: "PipeliningChannel") -> None:
        """Have a connection read on in its turn."""
        self._waiting.append(channel)
        self._call_later()

    def _call_later(self) -> None:
        if not self._is_called:
            self._is_called = True
            self._reactor.callLater(0, self._run)

    def _run(self) -> None:
        end = self._reactor.seconds() + _SECONDS
        for _ in range(_MOST):
            self._waiting.popleft().go_on()
            if not self._waiting or self._reactor.seconds() >= end:
                break
        self._is_called = False
        if self._waiting:
            self._call_later()


class PipeliningChannel(IdleTrackingChannel):
    """An HTTP connection that reads a request when it is its turn.

    It takes lines apart itself: LineReceiver would go on to the end of what has come, and copy all
    of it for each line.

    :ivar is_over: whether nothing that comes is looked at any more.
    :ivar expects_more: whether the last request is answered before its body has come.
    """

    is_over = False
    expects_more = False
    _networkProducer: Any  # noqa: N815
    _dataBuffer: list[bytes]  # noqa: N815
    _handlingRequest: bool  # noqa: N815
    _waitingForTransport: bool  # noqa: N815
    _transferDecoder: Any  # noqa: N815
    # Whether it has had its turn.
    _is_served = False
    _is_queued = False
    _is_reading = False
    # Up to where there is no end of a line.
    _searched = 0
    # What has come after the end.
    _late = 0

    def __init__(self) -> None:
        super().__init__()
        self._unread = bytearray()

    def dataReceived(self, data: bytes) -> None:
        if self.is_over:
            # The peer is to read why it ends, and may send for so long.
            self._late += len(data)
            if self._late > _MOST_LATE and not self.expects_more:
                self._networkProducer.pauseProducing()
            return
        self._unread += data
        if self._is_queued or self._has_to_wait:
            self._networkProducer.pauseProducing()
        else:
            self.read_on()

    def go_on(self) -> None:
        """Read on, in its turn."""
        self._is_queued = False
        if self._has_to_wait or self.is_over:
            return
        self._networkProducer.resumeProducing()
        self.read_on()

    def read_on(self) -> None:
        """Read a request, or a piece of one; what is left has to wait."""
        self._is_served, self._is_reading = False, True
        is_whole = True
        while is_whole and self._unread and not self._is_served:
            if self.line_mode:
                is_whole = self._read_line()
            elif self._handlingRequest:
                break
            else:
                self._read_piece()
        self._is_reading = False
        if is_whole and self._unread:
            self._leave_the_rest()

    def take_unread(self) -> bytes:
        """Give away what has come behind the request that is being answered."""
        unread = b"".join((*self._dataBuffer, self._unread))
        self._dataBuffer = []
        self._unread.clear()
        if unread:
            self._networkProducer.resumeProducing()
        return unread

    def setLineMode(self, extra: bytes = b"") -> None:  # noqa: N802
        """Expect a request, which may have begun with what was behind the body of the last one."""
        self.line_mode = 1
        self._unread[:0] = extra
        self._searched = 0

    def requestDone(self, request: Request) -> None:  # noqa: N802
        super().requestDone(request)
        self._is_served = True
        if self._unread and not self._is_reading:
            self._leave_the_rest()

    def pauseProducing(self) -> None:
        """The peer does not read; nor is anything read from it."""
        super().pauseProducing()
        # twisted.web does it only while no request is under way, and it mostly is when its answer
        # turns out to be one too many.
        self._networkProducer.pauseProducing()

    def resumeProducing(self) -> None:
        """The peer has read all of its answers."""
        super().resumeProducing()
        if self._unread:
            self._leave_the_rest()
        else:
            self._networkProducer.resumeProducing()

    def loseConnection(self) -> None:  # noqa: N802
        if self._unread or self._dataBuffer or self.expects_more:
            self.close_lingering()
        elif not self.is_over:
            self._end()
            super().loseConnection()

    def close_lingering(self) -> None:
        """End a connection whose peer may not have sent all that it wants to.

        What is not read of that would have the kernel reset the connection, and the answer be lost
        with it (RFC 9112, section 9.6). So only our direction is closed, until the peer closes its
        own. (TLS does as much by itself.)
        """
        if self.is_over:
            return
        self._end()
        self.setTimeout(_LONG_FAREWELL_SECONDS if self.expects_more else _FAREWELL_SECONDS)
        transport = self.transport
        if ISSLTransport.providedBy(transport) or not ITCPTransport.providedBy(transport):
            super().loseConnection()
        else:
            self._networkProducer.unregisterProducer()
            self._networkProducer.resumeProducing()
            transport.loseWriteConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._end()
        super().connectionLost(reason)

    @property
    def _has_to_wait(self) -> bool:
        """Return whether the next request waits for the answer to this one, or for the peer."""
        return self._handlingRequest or self._waitingForTransport

    def _end(self) -> None:
        self.is_over = True
        self._unread.clear()

    def _leave_the_rest(self) -> None:
        self._networkProducer.pauseProducing()
        if not self._is_queued and not self._has_to_wait:
            self._is_queued = True
            self.site.pipeline_scheduler.add(self)

    def _read_line(self) -> bool:
        """Read a line, if all of it is there."""
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

    def _read_piece(self) -> None:
        # A body of a known length takes no time, and one in chunks some for each of them.
        size = _PIECE if self.length is None else self._transferDecoder.contentLength
        piece = bytes(self._unread[:size])
        del self._unread[:size]
        self._is_served = True
        self.rawDataReceived(piece)
