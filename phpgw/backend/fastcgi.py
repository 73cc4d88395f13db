"""PHP-FPM, asked over FastCGI without a web server in between."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import IDelayedCall, IStreamClientEndpoint
from twisted.logger import Logger
from zope.interface import implementer

from phpgw.backend import (
    BackendBroken,
    BackendError,
    BackendTimeout,
    BackendUnreachable,
    Event,
    IBackend,
    Reply,
    ReplyTooLarge,
)
from phpgw.backend.cgi import Script, client_pairs, split_answer
from phpgw.backend.fastcgi_connection import Connection
from phpgw.backend.fastcgi_pool import Pool
from phpgw.backend.fastcgi_records import (
    Decoder,
    Params,
    encode_pair,
    encode_params,
    encode_request,
)
from phpgw.backend.form import encode_form
from phpgw.backend.per_handshake import PerHandshake
from phpgw.metrics import Metrics

# Opening a connection anew takes 0.2 ms, so it matters only to those that are used more often.
_IDLE_SECONDS = 0.02
# How much a reply's headers may add to its body.
_MAX_HEAD = 65536
# How much of what PHP writes to standard error for one event is logged.
_MAX_LOGGED = 4096
# Why PHP did not serve a request: FastCGI specification, section 5.5. None is tried again: our
# connections carry one request at a time, and an overloaded PHP is best left alone.
_REFUSALS = {1: "it does not multiplex", 2: "it is overloaded", 3: "it is not a responder"}
# Timers may be early by the rounding of a clock.
_TICK = 0.001


class Exchange:
    """One event on its way to PHP and back.

    :ivar request: its records.
    :ivar connection: where it was sent, once it was.
    :ivar answer: fires with the reply.
    """

    __slots__ = (
        "_backend",
        "_client_id",
        "_decoder",
        "_log_left",
        "answer",
        "connection",
        "request",
    )

    def __init__(self, backend: "FastCgiBackend", client_id: str, request: bytes) -> None:
        self.request = request
        self.connection: Connection | None = None
        self.answer: Deferred[Reply] = Deferred(self._cancelled)
        self._backend = backend
        self._client_id = client_id
        self._decoder = Decoder(backend.max_reply_size + _MAX_HEAD)
        self._log_left = _MAX_LOGGED

    def receive(self, data: bytes) -> bool:
        """Take what PHP sent; true once that was all."""
        decoder = self._decoder
        is_complete = decoder.receive(data)
        if decoder.errors:
            self._log(decoder.take_errors())
        if is_complete and (decoder.protocol_status or decoder.is_followed):
            assert self.connection is not None
            self.connection.is_reusable = False
        return is_complete

    def complete(self) -> None:
        """Fire the answer with what PHP has sent."""
        try:
            reply = self._reply()
        except BackendError as error:
            self.fail(error)
        else:
            self._backend.settled(self)
            self.answer.callback(reply)

    def fail(self, error: BackendError) -> None:
        """Fire the answer with an error."""
        self._backend.settled(self)
        self.answer.errback(error)

    def _cancelled(self, answer: Deferred[Reply]) -> None:
        self._backend.abandon(self)

    def _reply(self) -> Reply:
        status = self._decoder.protocol_status
        if status in _REFUSALS:
            raise BackendUnreachable(f"PHP refused the event: {_REFUSALS[status]}")
        if status:
            raise BackendBroken(f"PHP ended its answer with the unknown status {status}")
        if self._decoder.app_status:
            raise BackendBroken(f"the script ended with status {self._decoder.app_status}")
        head, body = split_answer(self._decoder.output)
        if len(body) > self._backend.max_reply_size:
            raise ReplyTooLarge(f"PHP's reply is larger than {self._backend.max_reply_size} bytes")
        return Reply(head.status, body)

    def _log(self, errors: bytes) -> None:
        """Log what PHP complains about, line by line."""
        left = self._log_left
        self._log_left -= len(errors)
        for line in errors[: max(left, 0)].splitlines():
            self._backend.log.warn(
                "PHP on an event of client {client_id}: {line!r}",
                client_id=self._client_id,
                line=line.decode("utf-8", "backslashreplace"),
            )
        if self._log_left < 0 <= left:
            self._backend.log.warn(
                "PHP on an event of client {client_id}: more than is logged",
                client_id=self._client_id,
            )


@implementer(IBackend)
class FastCgiBackend:
    """Hands events to PHP-FPM.

    :param script: where PHP finds the script.
    :param document_root: see :class:`phpgw.backend.cgi.Script`.
    :param timeout: seconds for an answer, from the start to its last byte.
    :param concurrency: how many connections there may be.
    :param max_reply_size: bytes that a reply may have.
    :param idle_seconds: how long a connection is kept that nobody uses.
    """

    log = Logger()

    def __init__(
        self,
        *,
        reactor: Any,
        endpoint: IStreamClientEndpoint,
        script: str,
        document_root: str | None,
        timeout: float,
        concurrency: int,
        max_reply_size: int,
        metrics: Metrics,
        idle_seconds: float = _IDLE_SECONDS,
    ) -> None:
        self.max_reply_size = max_reply_size
        self._reactor = reactor
        self._seconds = reactor.seconds
        self._timeout = timeout
        script_pairs = Script(script, document_root).pairs
        self._params: PerHandshake[Params] = PerHandshake(
            lambda handshake: encode_params(script_pairs + client_pairs(handshake))
        )
        self._pool = Pool(
            reactor=reactor,
            endpoint=endpoint,
            limit=concurrency,
            idle_seconds=idle_seconds,
            metrics=metrics,
        )
        # Those in flight with when they are due, the one asked first at the start.
        self._due: dict[Exchange, float] = {}
        self._timer: IDelayedCall | None = None

    def ask(self, event: Event) -> Deferred[Reply]:
        """See :meth:`phpgw.backend.IBackend.ask`."""
        handshake = event.handshake
        body = encode_form(event)
        params = self._params(handshake)
        length = encode_pair(b"CONTENT_LENGTH", b"%d" % len(body))
        exchange = Exchange(self, event.client_id, encode_request(params, length, body))
        self._due[exchange] = self._seconds() + self._timeout
        if self._timer is None:
            # One timer serves all, as they are due in the order in which they came.
            self._timer = self._reactor.callLater(self._timeout, self._expire)
        answer = exchange.answer
        self._pool.submit(exchange)
        return answer

    def close(self) -> Deferred[None]:
        """See :meth:`phpgw.backend.IBackend.close`."""
        closed = self._pool.close()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
            self._timer = None
        return closed

    def settled(self, exchange: Exchange) -> None:
        """Forget an exchange that has ended."""
        del self._due[exchange]

    def abandon(self, exchange: Exchange) -> None:
        """End an exchange that nobody waits for any longer."""
        del self._due[exchange]
        if exchange.connection is None:
            self._pool.withdraw(exchange)
        else:
            exchange.connection.abort()

    def _expire(self) -> None:
        # Whoever hears of it may ask again; until all have heard, no other timer is set.
        now = self._seconds()
        while self._due:
            exchange, due = next(iter(self._due.items()))
            if due > now + _TICK:
                self._timer = self._reactor.callLater(due - now, self._expire)
                return
            self.abandon(exchange)
            what = "answer" if exchange.connection else "connection to PHP"
            exchange.answer.errback(BackendTimeout(f"no {what} within {self._timeout:g} s"))
        self._timer = None


def make_fastcgi_backend(
    reactor: Any,
    *,
    endpoint: str | IStreamClientEndpoint,
    script: str,
    document_root: str | None = None,
    timeout: float,
    concurrency: int,
    max_reply_size: int,
    metrics: Metrics,
) -> FastCgiBackend:
    """A backend on this reactor, with a connection pool of its own.

    :param endpoint: where PHP-FPM is; a string is one of Twisted's client endpoints.
    :raises ValueError: if the script is not within the document root, or the string no endpoint.
    """
    return FastCgiBackend(
        reactor=reactor,
        endpoint=clientFromString(reactor, endpoint) if isinstance(endpoint, str) else endpoint,
        script=script,
        document_root=document_root,
        timeout=timeout,
        concurrency=concurrency,
        max_reply_size=max_reply_size,
        metrics=metrics,
    )
