"""An HTTP connection with strict parsing and strict timeouts.

twisted.web accepts some malformed requests. A proxy in front may read them differently (request
smuggling). twisted.web also lets a request take any time, as long as some bytes arrive, and it
closes the connection without a response when a request is too large.
"""

import re

from twisted.web.http import RESPONSES, Request

from phpgw.web.pipelining import PipeliningChannel
from phpgw.web.refusal_log import log_refusal

# Seconds for a body to arrive, and for an idle connection to send the next request.
_BODY_TIMEOUT = 60
IDLE_TIMEOUT = 60
# More digits than any real length has, and fewer than the limit of Python's int().
_MAX_LENGTH_DIGITS = 18
# Bytes of trailer fields behind a chunked body. They are not used.
_MAX_TRAILER_SIZE = 4096
# The header fields that say where a request ends.
_FRAMING = re.compile(rb"(?:(content-length)|transfer-encoding):(.*)", re.IGNORECASE | re.DOTALL)
_PHRASES = {**RESPONSES, 431: b"Request Header Fields Too Large"}


class StrictChannel(PipeliningChannel):
    """An HTTP connection of a :class:`phpgw.web.site.GatewaySite`."""

    _is_first_request = True
    _request_has_begun = False
    length: int | None
    _version: bytes

    def read_request(self) -> None:
        if not self._request_has_begun:
            self._request_has_begun = True
            if not self._is_first_request:
                self.setTimeout(self.site.head_timeout)
        super().read_request()

    def setTimeout(self, period: float | None) -> float | None:  # noqa: N802
        """Set the timeout of the connection. Return the one before."""
        before: float | None = self.timeOut
        if period is not None and before is not None and period < before:
            # To make a delayed call earlier, Twisted searches the calls of all clients for it.
            super().setTimeout(None)
        super().setTimeout(period)
        return before

    def resetTimeout(self) -> None:  # noqa: N802
        """Do nothing. Bytes that arrive must not extend the time that a request has."""

    def await_request(self) -> None:
        """Start the timeout for the next request."""
        self._request_has_begun = self._is_first_request = False
        self.setTimeout(IDLE_TIMEOUT)

    def allHeadersReceived(self) -> None:  # noqa: N802
        super().allHeadersReceived()
        if self.length != 0:
            self.setTimeout(_BODY_TIMEOUT)
            request = self.requests[-1]
            if request.is_too_large or is_handshake(request):
                # It is refused because of its body, so there is no need to wait for the body.
                self.length = 0
                self._close_after_response(request)

    def refuse_body(self) -> None:
        """Process a request whose body is far too large, before the body is complete."""
        self._close_after_response(self.requests[-1])
        self.allContentReceived()

    def _close_after_response(self, request: Request) -> None:
        self.persistent = 0
        self.expects_body = True
        request.setHeader("Connection", "close")

    def allContentReceived(self) -> None:  # noqa: N802
        # Only once: a body that was refused early may still arrive to its end.
        if not (self._handlingRequest or self.is_closing):
            super().allContentReceived()

    def _send100Continue(self) -> None:  # noqa: N802
        if not self.requests[-1].is_too_large:
            super()._send100Continue()

    def requestDone(self, request: Request) -> None:  # noqa: N802
        self.await_request()
        self._savedTimeOut = None
        super().requestDone(request)

    def timeoutConnection(self) -> None:  # noqa: N802
        # twisted.web's own method writes a log line for each.
        if self.is_closing:
            self.drop()
            return
        if self._request_has_begun or self._is_first_request:
            self.site.idle_connections.metrics.requests_timed_out += 1
        if self._request_has_begun:
            self._respond_and_close(408, "The request takes too long.")
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
            is_valid = value.isdigit()
            if is_valid and len(value) > _MAX_LENGTH_DIGITS:
                line = b"Content-Length: " + b"9" * _MAX_LENGTH_DIGITS
        else:
            # RFC 9112, section 6.1: no other coding is supported, and HTTP/1.0 has none.
            is_valid = value.lower() == b"chunked" and self._version == b"HTTP/1.1"
        if not is_valid:
            self._respondToBadRequestAndDisconnect()
            return False
        is_accepted = bool(super().headerReceived(line))
        if is_accepted and not match[1]:
            # The decoder searches the trailer from its start with each piece that arrives.
            self._transferDecoder._maxTrailerHeadersSize = _MAX_TRAILER_SIZE
        return is_accepted

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: N802
        if self._receivedHeaderSize:
            self._respond_and_close(431, "A header is too long.")
        else:
            self._respond_and_close(414, "The URL is too long.")

    def _respondToBadRequestAndDisconnect(self) -> None:  # noqa: N802
        # twisted.web calls this for every request that it does not accept.
        if (
            self._receivedHeaderSize > self.totalHeadersSize
            or self._receivedHeaderCount > self.maxHeaders
        ):
            self._respond_and_close(431, "The request's headers are too large.")
        else:
            self._respond_and_close(400, "This is no proper HTTP request.")

    def _respond_and_close(self, status: int, reason: str) -> None:
        """Send an error response to an invalid request, and close the connection."""
        log_refusal(self.transport.getPeer(), status, reason)
        body = reason.encode() + b"\n"
        self.transport.write(
            b"HTTP/1.1 %d %b\r\nServer: phpgw\r\nContent-Type: text/plain; charset=utf-8\r\n"
            b"X-Content-Type-Options: nosniff\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
            % (status, _PHRASES[status], len(body), body)
        )
        self.close_lingering()


def is_handshake(request: Request) -> bool:
    """Return whether a request asks for a WebSocket, with a valid handshake or not."""
    values = request.requestHeaders.getRawHeaders(b"Upgrade", [])
    return any(b"websocket" in value.lower() for value in values)
