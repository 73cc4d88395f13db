"""A connection from PHP: HTTP/1.1 (RFC 9112), parsed by httptools, which is strict.

What PHP sends is never passed on as it is: the request to the server is written anew, so that the
server sees the same end of it as the pool.
"""

from typing import Any
from typing import Protocol as Interface

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from twisted.internet.address import UNIXAddress
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from phpgw.pools.front import PhpConnection
from phpgw.pools.https.exchange import ApiExchange
from phpgw.pools.https.fields import Fields
from phpgw.pools.https.messages import ApiRequestHead
from phpgw.pools.https.refusal import ApiRefusal
from phpgw.transport.close_now import close_soon
from phpgw.transport.write_now import has_unsent, write_now

# Bytes of a head, or of chunk sizes and trailers between two pieces of a body.
_MAX_OVERHEAD = 65536
_TLS_HANDSHAKE = b"\x16\x03"


class PhpConnectionOwner(Interface):
    """The owner of the connections from PHP.

    :ivar name: of the pool.
    :ivar is_stopping: whether connections are closed after the current response.
    """

    name: str
    is_stopping: bool

    def opened(self, connection: "PhpHttpConnection") -> None:
        """Note a new connection, which has to send a request soon."""

    def waits(self, connection: "PhpHttpConnection") -> None:
        """Note that a connection waits for PHP."""

    def closed(self, connection: "PhpHttpConnection") -> None:
        """Forget a connection."""

    def exchange(self, connection: "PhpHttpConnection", head: ApiRequestHead) -> ApiExchange:
        """Return the exchange for a request; it has yet to begin.

        :raises ApiRefusal: if the request is not to be passed on.
        """


class PhpHttpConnection(PhpConnection):
    """A connection from PHP; has one request after another.

    :param site: what it belongs to.
    """

    transport: Any

    def __init__(self, site: PhpConnectionOwner) -> None:
        self._site = site
        self._parser: Any = HttpRequestParser(self)
        self._exchange: ApiExchange | None = None
        # Whether the last response was sent, and the rest of a request may still come.
        self._is_lingering = False
        self._is_kept = True
        self._unsent: list[bytes] = []
        self._start_request()

    def _start_request(self) -> None:
        self._target = b""
        self._fields = Fields()
        self._head: ApiRequestHead | None = None
        self._trailers = Fields()
        self._pieces: list[bytes] = []
        self._has_begun = False
        self._is_complete = False
        # Bytes since the last of the body, or of the request before.
        self._overhead = 0

    # From the transport.

    def connectionMade(self) -> None:
        super().connectionMade()
        self._site.opened(self)

    def dataReceived(self, data: bytes) -> None:
        if self._is_lingering:
            return
        if self._is_complete:
            # Behind a request without a response yet: RFC 9112, section 9.3.2, lets a server close.
            self._is_kept = False
            return
        if not self._overhead and data.startswith(_TLS_HANDSHAKE):
            self._fail("PHP speaks TLS here: the URL has to begin with http://")
            return
        self._has_begun = True
        self._overhead += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            self._is_kept = False
            if self._head is not None and self._head.has_body:
                self._is_complete = False
                reason = (
                    "there is no HTTP/2 here: set CURLOPT_HTTP_VERSION to CURL_HTTP_VERSION_1_1"
                )
                self.refuse(ApiRefusal(501, "http_request_error", reason))
                return
        except HttpParserError as error:
            if not self._is_complete:
                self._fail(f"this is no proper HTTP request ({error})")
                return
            self._is_kept = False
        self._hand_on()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        # It refers to this object, which is to be freed without a search for such circles.
        self._parser = None
        super().connectionLost(reason)
        self._site.closed(self)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.abandon()

    def expire(self) -> None:
        """Close the connection, since PHP takes too long to send a request."""
        if self._has_begun and not self._is_lingering:
            self.refuse(ApiRefusal(408, "http_request_error", "the request takes too long"))
        else:
            self.transport.abortConnection()

    # For the exchange.

    def write(self, data: bytes) -> None:
        """Send a piece of the response, with the next :meth:`flush`."""
        self._unsent.append(data)

    def flush(self) -> None:
        """Send what was written. One call of the kernel takes longer than all else here."""
        unsent, self._unsent = self._unsent, []
        if unsent:
            write_now(self.transport, b"".join(unsent))

    def finish(self) -> None:
        """Take note that the response is complete."""
        self.flush()
        self._exchange = None
        # PHP that asks again and does not read would fill the memory, one response after another.
        self._is_kept = self._is_kept and not has_unsent(self.transport)
        if self._is_complete and self._is_kept and not self._site.is_stopping:
            self._start_request()
            self._site.waits(self)
        else:
            self._close()

    def refuse(self, refusal: ApiRefusal) -> None:
        """Send a response of the pool's own, and close the connection."""
        self._exchange = None
        has_body = self._head is None or self._head.method != b"HEAD"
        self.write(refusal.encode(self._site.name, has_body=has_body))
        self.flush()
        self._close()

    def abort(self) -> None:
        """Close the connection, so that PHP sees that the response is not complete."""
        self._exchange = None
        self.flush()
        self.transport.abortConnection()

    def stop(self) -> None:
        """Close the connection, also within a request, since the gateway stops."""
        exchange = self._exchange
        if exchange is None:
            self.close_idle()
            return
        exchange.abandon()
        if exchange.has_response:
            self.abort()
        else:
            self.refuse(
                ApiRefusal(
                    *(503, "destination_unavailable"),
                    "the gateway has stopped; it is not known whether the request was carried out",
                    retry_after=1,
                )
            )

    def close_idle(self) -> None:
        """Close the connection, unless there is a request."""
        if self._exchange is None and not self._is_lingering:
            self._close()

    @property
    def will_close(self) -> bool:
        """Return whether the connection will be closed after the response, as known by now."""
        return not self._is_kept or self._site.is_stopping

    @property
    def from_socket(self) -> bool:
        """Return whether PHP is connected over a UNIX socket."""
        return isinstance(self.transport.getHost(), UNIXAddress)

    def _fail(self, reason: str) -> None:
        """Close the connection, since the rest of the request cannot be understood."""
        exchange = self._exchange
        if exchange is not None:
            exchange.abandon()
            if exchange.has_response:
                self.abort()
                return
        self.refuse(ApiRefusal(400, "http_request_error", reason))

    def _close(self) -> None:
        """Close the connection, but let PHP read the response, which may still be sending."""
        if self._is_complete or not self._has_begun:
            self._site.closed(self)
            close_soon(self.transport)
            return
        # RFC 9112, section 9.6.
        self._is_lingering = True
        self._site.waits(self)
        self.transport.resumeProducing()
        self.transport.loseWriteConnection()

    def _hand_on(self) -> None:
        """Hand on what one read has brought."""
        if self._head is None:
            if self._overhead > _MAX_OVERHEAD:
                self.refuse(ApiRefusal(431, "http_request_error", "the head exceeds 64 KB"))
            return
        if self._exchange is None:
            try:
                self._exchange = self._site.exchange(self, self._head)
            except ApiRefusal as refusal:
                self.refuse(refusal)
                return
            self._exchange.begin()
        if self._exchange is not None and self._pieces:
            pieces, self._pieces = self._pieces, []
            self._exchange.send(b"".join(pieces))
        if self._exchange is None:
            return
        if self._is_complete:
            self._exchange.end_request(self._trailers)
        elif self._overhead > _MAX_OVERHEAD:
            self._fail("chunk sizes or trailers exceed 64 KB")

    # What the parser tells.

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request's target."""
        if not self._is_complete:
            self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of the head, or one behind the body."""
        if self._is_complete:
            return
        if self._head is None:
            self._fields.add(name, value)
        else:
            self._trailers.add(name, value)

    def on_headers_complete(self) -> None:
        """Take the head."""
        if not self._is_complete:
            parser = self._parser
            self._head = ApiRequestHead(
                *(parser.get_method(), self._target), parser.get_http_version(), self._fields
            )
            # What HTTP/1.0 says of kept connections is no standard: RFC 9112, appendix C.2.2.
            self._is_kept = (
                self._is_kept and self._head.version == "1.1" and parser.should_keep_alive()
            )

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body."""
        if not self._is_complete:
            self._overhead = 0
            self._pieces.append(data)

    def on_message_begin(self) -> None:
        """Note that a request begins; one too many ends the connection."""
        if self._is_complete:
            self._is_kept = False

    def on_message_complete(self) -> None:
        """Note that the request is complete."""
        self._is_complete = True
