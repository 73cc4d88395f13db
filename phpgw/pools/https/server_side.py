"""A connection to the API: HTTP/1.1 (RFC 9112), parsed by httptools."""

from collections.abc import Callable
from typing import Any
from typing import Protocol as Interface

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHandshakeListener, IProtocolNegotiationFactory
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from phpgw.pools.errors import ServerUnavailable
from phpgw.pools.https.fields import Fields
from phpgw.pools.https.messages import ApiResponseHead
from phpgw.transport.peek import is_quiet
from phpgw.transport.tls_errors import tls_reason

# Bytes of a head, or of chunk sizes and trailers between two pieces of a body.
_MAX_OVERHEAD = 65536
_SWITCHING_PROTOCOLS = 101
_FIRST_FINAL_STATUS = 200


class ApiResponseReceiver(Interface):
    """A receiver of the response to a request."""

    method: bytes

    def interim(self, head: ApiResponseHead) -> None:
        """Receive an interim response (RFC 9110, section 15.2)."""

    def respond(self, head: ApiResponseHead, length: int | None) -> None:
        """Receive the head of the response.

        :param length: bytes of the body; ``None`` if that is not known yet.
        """

    def receive(self, data: bytes) -> None:
        """Receive a piece of the body."""

    def flush(self) -> None:
        """Pass on what was received: nothing more of this read follows."""

    def finish(self, trailers: bytes, *, is_kept: bool) -> None:
        """Take note that the response is complete.

        :param trailers: the lines of the fields behind the body.
        :param is_kept: whether the connection can have another request.
        """

    def lost(self, problem: str) -> None:
        """Take note that the response will not be complete."""


@implementer(IHandshakeListener)
class ApiConnection(Protocol):
    """A connection to the API; carries one request at a time.

    :param lost: called if the connection ends while it is idle.
    :param uses_tls: whether TLS is spoken.
    :ivar ready: fires once it can be used; fails with :exc:`.ServerUnavailable`.
    :ivar opened_at: when it was made, by the reactor's clock.
    """

    transport: Any

    def __init__(
        self, reactor: Any, lost: "Callable[[ApiConnection], object]", *, uses_tls: bool
    ) -> None:
        self._lost = lost
        self.ready: Deferred[ApiConnection] = Deferred()
        self._uses_tls = uses_tls
        self.opened_at: float = reactor.seconds()
        self._now = reactor.seconds
        # When it became idle; None before its first request.
        self._idle_since: float | None = None
        self._seconds_kept: float | None = None
        self._is_open = True
        self._receiver: ApiResponseReceiver | None = None
        self._parser: Any = None
        self._start_response()
        self._overhead = 0

    def _start_response(self) -> None:
        self._parser = HttpResponseParser(self) if self._is_open else None
        self._fields = Fields()
        self._trailers: Fields | None = None
        self._reason = b""
        # What one read has brought.
        self._interim: list[ApiResponseHead] = []
        self._head: ApiResponseHead | None = None
        self._pieces: list[bytes] = []
        self._is_complete = False
        self._is_too_much = False
        # Of the response that is being received.
        self._has_head = False
        self._ends_with_connection = False
        self._is_persistent = False

    # phpgw.pools.connector.ServerConnection

    def is_alive(self) -> bool:
        """Return whether the idle connection can have a request, as far as this side can know."""
        if not self._is_open:
            return False
        if self._idle_since is None:
            return True
        if self._seconds_kept is not None and (
            self._now() - self._idle_since >= self._seconds_kept
        ):
            return False
        return is_quiet(self.transport)

    def close(self) -> None:
        """Close it at once, whatever it does."""
        self._receiver = None
        if self._is_open and self.transport is not None:
            self._is_open = False
            self.transport.abortConnection()

    # Of a request.

    def begin(self, data: bytes, receiver: ApiResponseReceiver) -> None:
        """Send the start of a request."""
        self._receiver = receiver
        self._overhead = 0
        self._idle_since = None
        self.transport.write(data)

    def write(self, data: bytes) -> None:
        """Send more of the request."""
        self.transport.write(data)

    # From the transport.

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        if not self._uses_tls:
            self.ready.callback(self)

    def handshakeCompleted(self) -> None:  # noqa: N802
        """Note that TLS is agreed on."""
        if self._is_open and not self.ready.called:
            self.ready.callback(self)

    def dataReceived(self, data: bytes) -> None:
        if self._receiver is None:
            # Nobody asked: a server says so before it closes an idle connection.
            self.close()
            return
        self._overhead += len(data)
        problem = ""
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            problem = "it has switched to another protocol, which nobody has asked for"
        except HttpParserError as error:
            if self._is_complete:
                self._is_too_much = True
            else:
                problem = f"its response is no HTTP ({error})"
        self._hand_on()
        if self._receiver is None:
            return
        if problem:
            self._lose(problem)
        elif self._is_complete:
            self._finish()
        elif self._overhead > _MAX_OVERHEAD:
            self._lose("the head or the trailers of its response are larger than 64 KB")
        else:
            self._receiver.flush()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        was_idle = self._is_open and self._idle_since is not None
        self._is_open = False
        # It refers to this object, which is to be freed without a search for such circles.
        self._parser = None
        if not self.ready.called:
            self.ready.errback(Failure(ServerUnavailable(f"TLS: {_tls_failure(reason)}")))
        if was_idle:
            self._lost(self)
        if self._receiver is None:
            return
        if self._ends_with_connection and reason.check(ConnectionDone):
            self._finish()
        elif self._has_head:
            self._lose("it has closed the connection within its response")
        else:
            self._lose(
                "it has closed the connection before it responded; it is not known whether the "
                "request was carried out"
            )

    def _hand_on(self) -> None:
        """Hand on what one read has brought."""
        interim, self._interim = self._interim, []
        for head in interim:
            if self._receiver is not None:
                self._receiver.interim(head)
        last, self._head = self._head, None
        pieces, self._pieces = self._pieces, []
        if last is not None and self._receiver is not None:
            self._has_head = True
            if not self._respond(last):
                # The parser does not know the request's method.
                self._is_complete = True
                self._is_too_much = bool(pieces)
                return
        if pieces and self._receiver is not None:
            self._receiver.receive(b"".join(pieces))

    def _respond(self, head: ApiResponseHead) -> bool:
        """Hand on the head of the response. Return whether a body follows."""
        assert self._receiver is not None
        fields = head.fields
        if fields.coding not in (b"", b"chunked"):
            self._lose("the Transfer-Encoding of its response is unknown")
            return True
        has_body = head.has_body(self._receiver.method)
        self._is_persistent = head.is_persistent
        self._ends_with_connection = has_body and not (fields.coding or fields.length)
        self._seconds_kept = head.seconds_kept
        length = None if fields.length is None else int(fields.length)
        self._receiver.respond(head, length)
        return has_body

    def _finish(self) -> None:
        trailers = b"" if self._trailers is None else self._trailers.lines()
        is_kept = (
            self._is_open
            and not self._is_too_much
            and not self._ends_with_connection
            and self._is_persistent
        )
        receiver, self._receiver = self._receiver, None
        assert receiver is not None
        self._start_response()
        self._idle_since = self._now()
        receiver.finish(trailers, is_kept=is_kept)

    def _lose(self, problem: str) -> None:
        receiver = self._receiver
        self.close()
        if receiver is not None:
            receiver.lost(problem)

    # What the parser tells.

    def on_message_begin(self) -> None:
        """Note that a response begins; one too many ends the connection."""
        if self._is_complete:
            self._is_too_much = True

    def on_status(self, reason: bytes) -> None:
        """Take a piece of the reason phrase."""
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of the head, or one behind the body."""
        if self._is_complete:
            return
        if self._trailers is None:
            self._fields.add(name, value)
        else:
            self._trailers.add(name, value)

    def on_headers_complete(self) -> None:
        """Take the head."""
        if self._is_complete:
            return
        parser = self._parser
        head = ApiResponseHead(
            *(parser.get_status_code(), self._reason, parser.get_http_version(), self._fields)
        )
        self._fields, self._reason = Fields(), b""
        if head.status >= _FIRST_FINAL_STATUS:
            self._head, self._trailers = head, Fields()
        elif head.status != _SWITCHING_PROTOCOLS:
            self._interim.append(head)

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body."""
        self._overhead = 0
        if not self._is_complete:
            self._pieces.append(data)

    def on_message_complete(self) -> None:
        """Note that the response is complete, unless it was an interim one."""
        if self._trailers is not None:
            self._is_complete = True


@implementer(IProtocolNegotiationFactory)
class ApiConnectionFactory(Factory):
    """Makes one connection, which speaks HTTP/1.1."""

    noisy = False

    def __init__(self, connection: ApiConnection) -> None:
        self._connection = connection

    def buildProtocol(self, addr: object) -> ApiConnection:
        return self._connection

    def acceptableProtocols(self) -> list[bytes]:  # noqa: N802
        """Return the protocol that is asked for: RFC 7301."""
        return [b"http/1.1"]


def _tls_failure(reason: Failure) -> str:
    if reason.check(SSL.Error, VerificationError):
        assert reason.value is not None
        return tls_reason(reason.value)
    return "the connection was closed"
