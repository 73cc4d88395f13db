"""An HTTP connection that is strict about how a request is written, and when it is complete.

twisted.web is a little more lenient than is wise where a proxy may be in front, which could
understand a request in another way (request smuggling); it lets a request take for ever as long as
something comes; and it hangs up without a word on what is too large.
"""

import re

from twisted.web.http import RESPONSES, Request

from phpgw.web.pipelining import PipeliningChannel

# How long a body may take, and how long a connection is kept without a request.
_BODY_SECONDS = 60
_IDLE_SECONDS = 60
# More digits than any length has, and fewer than Python refuses to read.
_LONGEST_LENGTH = 18
# Bytes of headers behind a body in chunks, which nobody reads.
_LONGEST_TRAILER = 4096
# What says where a request ends.
_FRAMING = re.compile(rb"(?:(content-length)|transfer-encoding):(.*)", re.IGNORECASE | re.DOTALL)
_PHRASES = {**RESPONSES, 431: b"Request Header Fields Too Large"}


class StrictChannel(PipeliningChannel):
    """An HTTP connection of a :class:`phpgw.web.site.GatewaySite`."""

    _is_first = True
    _has_begun = False
    length: int | None
    _version: bytes

    def connectionMade(self) -> None:
        super().connectionMade()
        self.setTimeout(self.site.head_seconds)

    def read_on(self) -> None:
        if not self._has_begun:
            self._has_begun = True
            if not self._is_first:
                self.setTimeout(self.site.head_seconds)
        super().read_on()

    def setTimeout(self, period: float | None) -> float | None:  # noqa: N802
        """Change the time after which the connection ends."""
        before: float | None = self.timeOut
        if period is not None and before is not None and period < before:
            # To have a call come sooner, Twisted looks for it among those of all clients.
            super().setTimeout(None)
        super().setTimeout(period)
        return before

    def resetTimeout(self) -> None:  # noqa: N802
        """Do nothing: that something comes now and then gives a request no more time."""

    def rest(self) -> None:
        """Wait for the next request."""
        self._has_begun = self._is_first = False
        self.setTimeout(_IDLE_SECONDS)

    def allHeadersReceived(self) -> None:  # noqa: N802
        super().allHeadersReceived()
        if self.length != 0:
            self.setTimeout(_BODY_SECONDS)
            request = self.requests[-1]
            if request.is_too_large or is_handshake(request):
                # It is refused for its body, which therefore need not come first.
                self.length = 0
                self._cut_off(request)

    def refuse_body(self) -> None:
        """Have a request answered whose body is far too large, before it has come whole."""
        self._cut_off(self.requests[-1])
        self.allContentReceived()

    def _cut_off(self, request: Request) -> None:
        self.persistent = 0
        self.expects_more = True
        request.setHeader("Connection", "close")

    def allContentReceived(self) -> None:  # noqa: N802
        # Once alone, though what was cut off may come to its end.
        if not (self._handlingRequest or self.is_over):
            super().allContentReceived()

    def _send100Continue(self) -> None:  # noqa: N802
        if not self.requests[-1].is_too_large:
            super()._send100Continue()

    def requestDone(self, request: Request) -> None:  # noqa: N802
        self.rest()
        self._savedTimeOut = None
        super().requestDone(request)

    def timeoutConnection(self) -> None:  # noqa: N802
        # twisted.web's own writes a line to the log for each.
        if self.is_over:
            self.drop()
            return
        if self._has_begun or self._is_first:
            self.site.idle_connections.metrics.requests_timed_out += 1
        if self._has_begun:
            self._refuse(408, "The request takes too long.")
        else:
            self.close_lingering()

    def lineReceived(self, line: bytes) -> None:  # noqa: N802
        if line.startswith((b" ", b"\t")):
            # Obsolete folding: RFC 9112, section 5.2.
            self._respondToBadRequestAndDisconnect()
            return
        super().lineReceived(line)

    def headerReceived(self, line: bytes) -> bool:  # noqa: N802
        match = _FRAMING.fullmatch(line)
        if match is None:
            return bool(super().headerReceived(line))
        value = match[2].strip(b" \t")
        if match[1]:
            is_plain = value.isdigit()
            if is_plain and len(value) > _LONGEST_LENGTH:
                line = b"Content-Length: " + b"9" * _LONGEST_LENGTH
        else:
            # RFC 9112, section 6.1: no other is known here, and HTTP/1.0 knows none.
            is_plain = value.lower() == b"chunked" and self._version == b"HTTP/1.1"
        if not is_plain:
            self._respondToBadRequestAndDisconnect()
            return False
        is_taken = bool(super().headerReceived(line))
        if is_taken and not match[1]:
            # What comes of it is looked through again with each piece.
            self._transferDecoder._maxTrailerHeadersSize = _LONGEST_TRAILER
        return is_taken

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: N802
        if self._receivedHeaderSize:
            self._refuse(431, "A header is too long.")
        else:
            self._refuse(414, "The URL is too long.")

    def _respondToBadRequestAndDisconnect(self) -> None:  # noqa: N802
        # twisted.web's name for what it does with all that it does not like.
        if (
            self._receivedHeaderSize > self.totalHeadersSize
            or self._receivedHeaderCount > self.maxHeaders
        ):
            self._refuse(431, "The request's headers are too large.")
        else:
            self._refuse(400, "This is no proper HTTP request.")

    def _refuse(self, status: int, reason: str) -> None:
        """Answer what cannot be a request, and go."""

        body = reason.encode() + b"\n"
        self.transport.write(
            b"HTTP/1.1 %d %b\r\nServer: phpgw\r\nContent-Type: text/plain; charset=utf-8\r\n"
            b"X-Content-Type-Options: nosniff\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
            % (status, _PHRASES[status], len(body), body)
        )
        self.close_lingering()


def is_handshake(request: Request) -> bool:
    """Tell a request for a WebSocket, a proper one or not."""
    values = request.requestHeaders.getRawHeaders(b"Upgrade", [])
    return any(b"websocket" in value.lower() for value in values)
