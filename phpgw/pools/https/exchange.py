"""One request of PHP and the response of the server, both passed on as they come."""

from typing import Any
from typing import Protocol as Interface

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.deadlines import Deadlines
from phpgw.log_limit import line_limit
from phpgw.pools.errors import PoolFull, PoolStopping, ServerUnavailable
from phpgw.pools.flow import ReadPause
from phpgw.pools.https.fields import AddedFields, Fields
from phpgw.pools.https.messages import LAST_CHUNK, ApiRequestHead, ApiResponseHead, encode_chunk
from phpgw.pools.https.refusal import ApiRefusal
from phpgw.pools.https.server_side import ApiConnection
from phpgw.pools.pool import Pool

_log = Logger(observer=line_limit)

ApiConnections = Pool[None, ApiConnection]


class PhpSide(Interface):
    """The connection from PHP.

    :ivar will_close: whether it will be closed after the response, as known by now.
    """

    transport: Any

    @property
    def will_close(self) -> bool: ...

    def write(self, data: bytes) -> None:
        """Send a piece of the response, with the next :meth:`flush`."""

    def flush(self) -> None:
        """Send what was written."""

    def finish(self) -> None:
        """Take note that the response is complete."""

    def refuse(self, refusal: ApiRefusal) -> None:
        """Send a response of the pool's own."""

    def abort(self) -> None:
        """Close the connection, so that PHP sees that the response is not complete."""


@attrs.define
class ExchangeContext:
    """The context of all exchanges of a pool.

    :ivar host: the server's, as it is sent to it.
    :ivar base: the path that all targets are below, without a slash at its end.
    :ivar added: fields that each request gets.
    :ivar deadlines: ends exchanges in which nothing moves.
    """

    pool: ApiConnections
    host: bytes
    base: bytes
    added: AddedFields
    deadlines: "Deadlines[ApiExchange]"


class ApiExchange:
    """One request of PHP and the response of the server, both passed on as they come.

    The request is never sent a second time: once a byte of it was sent, it is not known what the
    server has done.

    :param target: the request's, in origin form.
    :ivar method: the request's, which tells whether the response has a body.
    :ivar has_response: whether PHP has got the head of the response.
    """

    def __init__(
        self, context: ExchangeContext, php: PhpSide, head: ApiRequestHead, target: bytes
    ) -> None:
        self.method = head.method
        self._context = context
        # None once the exchange has ended.
        self._php: PhpSide | None = php
        self._has_body = head.has_body
        self._is_chunked = head.is_chunked
        # HTTP/1.0 has neither chunks nor interim responses.
        self._is_old = head.version == "1.0"
        # What cannot be sent yet.
        # The target of OPTIONS may be an asterisk.
        whole = context.base + target if target.startswith(b"/") else target
        self._unsent = head.encode(whole, context.host, context.added)
        self._taking: Deferred[ApiConnection] | None = None
        self._server: ApiConnection | None = None
        self._request_is_complete = False
        self.has_response = False
        # Whether PHP gets the response in chunks.
        self._chunks_response = False
        self._is_paced = False

    def begin(self) -> None:
        """Take a connection to the server, and send the request over it."""
        taking = self._context.pool.take(None)
        self._taking = taking
        taking.addCallbacks(self._connected, self._unavailable)
        if self._taking is not None and self._has_body and self._php is not None:
            self._php.transport.pauseProducing()

    # From PHP.

    def send(self, data: bytes) -> None:
        """Send a piece of the request's body."""
        self._send(encode_chunk(data) if self._is_chunked else data)

    def end_request(self, trailers: Fields) -> None:
        """Send the end of the request.

        :param trailers: the fields behind the body.
        """
        if not self._request_is_complete:
            self._request_is_complete = True
            if self._is_chunked:
                lines = trailers.lines(self._context.added.names)
                self._send(LAST_CHUNK + lines + b"\r\n")

    def abandon(self) -> None:
        """Give up the exchange, since PHP has left."""
        self._php = None
        taking, self._taking = self._taking, None
        if taking is not None:
            taking.cancel()
        self._discard_server()

    def expire(self) -> None:
        """Give up the exchange, since nothing has moved for too long."""
        self._discard_server()
        php, self._php = self._php, None
        assert php is not None
        seconds = f"{self._context.deadlines.seconds:g} s"
        if self.has_response:
            php.abort()
        elif self._request_is_complete:
            php.refuse(
                ApiRefusal(
                    *(504, "http_response_timeout"),
                    f"the server has not responded within {seconds}; it is not known whether the "
                    "request was carried out",
                )
            )
        else:
            php.refuse(
                ApiRefusal(
                    408, "http_request_error", f"nothing came of the request's body for {seconds}"
                )
            )

    # From the server: phpgw.pools.https.server_side.ApiResponseReceiver

    def interim(self, head: ApiResponseHead) -> None:
        assert self._php is not None
        self._context.deadlines.start(self)
        if not self._is_old:
            self._php.write(head.encode())

    def respond(self, head: ApiResponseHead, length: int | None) -> None:
        assert self._php is not None
        self.has_response = True
        self._context.deadlines.start(self)
        has_unknown_end = length is None and head.has_body(self.method)
        self._chunks_response = has_unknown_end and not self._is_old
        is_last = self._php.will_close or (has_unknown_end and self._is_old)
        self._php.write(head.encode(is_chunked=self._chunks_response, is_last=is_last))

    def receive(self, data: bytes) -> None:
        assert self._php is not None
        self._context.deadlines.start(self)
        if not self._is_paced:
            self._is_paced = True
            assert self._server is not None
            self._php.transport.registerProducer(ReadPause(self._server.transport), True)
        self._php.write(encode_chunk(data) if self._chunks_response else data)

    def flush(self) -> None:
        assert self._php is not None
        self._php.flush()

    def finish(self, trailers: bytes, *, is_kept: bool) -> None:
        php = self._php
        assert php is not None
        self._release(is_kept=is_kept and self._request_is_complete)
        self._php = None
        if self._chunks_response:
            php.write(LAST_CHUNK + trailers + b"\r\n")
        php.finish()

    def lost(self, problem: str) -> None:
        self._discard_server()
        php, self._php = self._php, None
        assert php is not None
        if self.has_response:
            php.abort()
        else:
            php.refuse(ApiRefusal(502, "connection_terminated", f"the server failed: {problem}"))

    # Of the pool.

    def _connected(self, server: ApiConnection) -> None:
        self._taking = None
        self._server = server
        self._context.deadlines.start(self)
        assert self._php is not None
        transport = self._php.transport
        if self._has_body:
            server.transport.registerProducer(ReadPause(transport), True)
            transport.resumeProducing()
        data, self._unsent = self._unsent, b""
        server.begin(data, self)

    def _unavailable(self, failure: Failure) -> None:
        self._taking = None
        php, self._php = self._php, None
        if php is None:
            failure.trap(CancelledError)
            return
        php.refuse(refusal_for(failure))

    def _send(self, data: bytes) -> None:
        if self._server is None:
            self._unsent += data
        else:
            self._context.deadlines.start(self)
            self._server.write(data)

    def _release(self, *, is_kept: bool) -> None:
        """Give back the connection to the server, or discard it."""
        self._context.deadlines.stop(self)
        server, self._server = self._server, None
        if server is None:
            return
        if self._has_body:
            server.transport.unregisterProducer()
        if self._is_paced and self._php is not None:
            self._php.transport.unregisterProducer()
        if not is_kept:
            self._context.pool.discard(server)
            return
        if self._is_paced:
            # It is paused if PHP has yet to read the end of the response.
            server.transport.resumeProducing()
        self._context.pool.give_back(server)

    def _discard_server(self) -> None:
        self._release(is_kept=False)


def refusal_for(failure: Failure) -> ApiRefusal:
    """Return the response to PHP if there is no connection to the server."""
    reason = failure.getErrorMessage()
    if failure.check(PoolFull):
        return ApiRefusal(503, "connection_limit_reached", reason, retry_after=1)
    if failure.check(PoolStopping):
        return ApiRefusal(503, "destination_unavailable", reason, retry_after=1)
    if not failure.check(ServerUnavailable):
        _log.failure("A pool has failed", failure)
        reason = "an error in the gateway, see its log"
    return ApiRefusal(502, "destination_unavailable", f"no connection to the server: {reason}")
