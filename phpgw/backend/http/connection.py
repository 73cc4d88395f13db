"""One connection to a web server: HTTP/1.1 (RFC 9112), parsed by httptools."""

from typing import Any
from typing import Protocol as Interface

from httptools import HttpParserError, HttpParserUpgrade
from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHandshakeListener, ISSLTransport, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from phpgw.backend.errors import BackendBroken
from phpgw.backend.headers import check_not_compressed
from phpgw.backend.http.head import HeadLines
from phpgw.backend.http.parser import make_parser
from phpgw.backend.http.response import HttpResponse, ShortResponse
from phpgw.backend.http.short_response import parse_short_response
from phpgw.backend.reply import Head
from phpgw.transport.tls_errors import tls_reason
from phpgw.transport.write_now import write_now

# As over FastCGI.
_MAX_HEAD = 65536
_FIRST_FINAL_STATUS = 200


class StaleConnection(ConnectionLost):
    """A kept connection ended without a byte of a response.

    The server had closed it, idle, while the request was on its way: nothing was done with it.
    """


class TlsFailed(ConnectionLost):
    """A connection ended before TLS was agreed on: nothing was said over it."""


class HeadTooLarge(Exception):
    """A response has more than 64 KB of headers."""


class NotHttp(Exception):
    """The received bytes are not an HTTP response."""


class Request(Interface):
    """A request, and what waits for its response."""

    def respond(self, response: HttpResponse) -> None:
        """Take the response, whose body is to come."""

    def fail(self, reason: Failure) -> None:
        """Take note that there will be no response."""


class HttpConnectionOwner(Interface):
    """The keeper of connections between requests."""

    def released(self, connection: "HttpConnection") -> None:
        """Take back a connection after a response."""

    def lost(self, connection: "HttpConnection") -> None:
        """Forget a connection that has ended."""


@implementer(IHandshakeListener)
class HttpConnection(Protocol):
    """A connection to a web server; carries one request at a time.

    :param owner: keeps it between requests.
    """

    transport: Any

    def __init__(self, owner: HttpConnectionOwner) -> None:
        self._owner = owner
        self._parser: Any = make_parser(self)
        self._request: Request | None = None
        self._response: HttpResponse | None = None
        self._lines = HeadLines()
        # Whether the end of the connection is that of the body.
        self._ends_with_connection = True
        self._is_secured = False
        self._has_served = False
        self._has_heard = False
        self._is_complete = False
        self._is_kept = False
        # Bytes since the request, or since the last of the body, that were nothing of a body.
        self._overhead = 0

    def connectionMade(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)

    def handshakeCompleted(self) -> None:  # noqa: N802
        """Note that TLS is agreed on."""
        self._is_secured = True

    def send(self, data: bytes, request: Request) -> None:
        """Send a request."""
        self._request = request
        self._has_heard = False
        self._overhead = 0
        write_now(self.transport, data)

    def dataReceived(self, data: bytes) -> None:
        if self._request is None and self._response is None:
            # Nobody asked: a server says so before it closes an idle connection.
            self.abort()
            return
        if not self._has_heard:
            self._has_heard = True
            short = parse_short_response(data)
            if short is not None:
                self._receive_short(short)
                return
        self._overhead += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if self._is_complete:
                # What follows a response that has no body by its status is none of ours.
                self._is_kept = False
                self._finish()
                return
            self._fail(NotHttp(str(error) if isinstance(error, HttpParserError) else "an upgrade"))
            return
        if self._is_complete:
            self._finish()
        elif self._overhead > _MAX_HEAD:
            self._fail(HeadTooLarge())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        # It refers to this object, which is to be freed without a search for such circles.
        self._parser = None
        self._owner.lost(self)
        request, self._request = self._request, None
        response, self._response = self._response, None
        if request is not None:
            request.fail(self._reason(reason))
        elif response is not None:
            if self._ends_with_connection and reason.check(ConnectionDone):
                response.finish()
            else:
                response.finish(reason)

    def pause(self) -> None:
        """Read no more for now."""
        self.transport.pauseProducing()

    def resume(self) -> None:
        """Read on."""
        self.transport.resumeProducing()

    def close(self) -> None:
        """Close it in between requests."""
        self.transport.loseConnection()

    def abort(self) -> None:
        """Close it at once; nobody is told of a response any more."""
        self._request = self._response = None
        self.transport.abortConnection()

    # What the parser tells.

    def on_message_begin(self) -> None:
        """Note that a response begins; one too many ends the connection."""
        if self._is_complete:
            self._is_kept = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; a field behind the body is of no use."""
        if self._request is not None:
            self._lines.add(name, value)

    def on_headers_complete(self) -> None:
        """Hand on the response."""
        if self._request is None:
            return
        status = self._parser.get_status_code()
        lines, self._lines = self._lines, HeadLines()
        if status < _FIRST_FINAL_STATUS:
            return
        head = lines.head(status)
        try:
            check_not_compressed(head.values(b"content-encoding"))
        except BackendBroken:
            request = self._request
            self.abort()
            request.fail(Failure())
            return
        self._ends_with_connection = lines.ends_with_connection
        self._respond(head, lines.length)

    def on_body(self, data: bytes) -> None:
        """Hand on a piece of the body."""
        self._overhead = 0
        if self._response is not None and not self._is_complete:
            self._response.receive(data)

    def on_message_complete(self) -> None:
        """Note that the response is complete; what comes with it is known later."""
        if self._response is not None and not self._is_complete:
            self._is_complete = True
            self._is_kept = self._parser.should_keep_alive()

    def _receive_short(self, short: ShortResponse) -> None:
        """Hand on a whole response. The parser, which is at the start of one, has no part in it."""
        request, self._request = self._request, None
        assert request is not None
        self._has_served = True
        self._owner.released(self)
        request.respond(short)

    def _respond(self, head: Head, length: int | None) -> None:
        """Hand on the head of the response."""
        request, self._request = self._request, None
        assert request is not None
        self._overhead = 0
        self._response = HttpResponse(self, head, length)
        request.respond(self._response)

    def _finish(self) -> None:
        self._is_complete = False
        self._has_served = True
        response, self._response = self._response, None
        if response is not None and response.is_paused:
            self.resume()
        if response is None or not self._is_kept:
            self.close()
        else:
            self._owner.released(self)
        if response is not None:
            response.finish()

    def _fail(self, error: Exception) -> None:
        request, response = self._request, self._response
        self.abort()
        if request is not None:
            request.fail(Failure(error))
        elif response is not None:
            response.finish(Failure(error))

    def _reason(self, reason: Failure) -> Failure:
        """Return why there is no response."""
        if ISSLTransport.providedBy(self.transport) and not self._is_secured:
            return Failure(TlsFailed(_tls_failure(reason)))
        if self._has_served and not self._has_heard:
            return Failure(StaleConnection(reason.getErrorMessage()))
        return reason


def _tls_failure(reason: Failure) -> str:
    if reason.check(SSL.Error, VerificationError):
        assert reason.value is not None
        return tls_reason(reason.value)
    return "the connection was closed"
