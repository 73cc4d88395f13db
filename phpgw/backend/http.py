"""PHP behind a web server, asked over HTTP with treq."""

from collections.abc import Hashable
from functools import partial
from typing import Any, NoReturn, cast
from urllib.parse import urlsplit

import attrs
from treq.client import HTTPClient
from treq.response import _Response
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectError, ConnectionLost, DNSLookupError
from twisted.internet.interfaces import (
    IConsumer,
    IProtocol,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.client import (
    HTTPConnectionPool,
    RequestTransmissionFailed,
    ResponseDone,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from phpgw.backend import (
    BackendBroken,
    BackendError,
    BackendTimeout,
    BackendUnreachable,
    Event,
    Handshake,
    IBackend,
    Reply,
    ReplyTooLarge,
)
from phpgw.backend.form import encode_form
from phpgw.backend.origin import CompleteHeaders, CompleteUrl, NoCookies, OriginAgent
from phpgw.backend.per_handshake import PerHandshake
from phpgw.metrics import Metrics

# Shorter than the keepalive_timeout that Nginx has by default (75 s), so that we close first.
_IDLE_SECONDS = 60
_NO_COOKIES = NoCookies()


@implementer(IBackend)
class HttpBackend:
    """POSTs events to a URL.

    :param agent: sends requests over connections that are used again.
    :param fresh_agent: sends each request over a connection of its own.
    :param url: the script's URL.
    :param timeout: seconds for an answer, from the start to its last byte.
    :param max_reply_size: bytes that a reply may have.
    """

    def __init__(
        self,
        *,
        reactor: Any,
        agent: IAgent,
        fresh_agent: IAgent,
        pool: HTTPConnectionPool,
        url: str,
        timeout: float,
        max_reply_size: int,
        metrics: Metrics,
    ) -> None:
        self._reactor = reactor
        self._client = HTTPClient(agent, cookiejar=_NO_COOKIES)
        self._fresh_client = HTTPClient(fresh_agent, cookiejar=_NO_COOKIES)
        self._pool = pool
        self._url = CompleteUrl.from_text(url)
        self._url_text = url
        self._headers = PerHandshake(partial(_headers, _host_header(url)))
        self._timeout = timeout
        self._max_reply_size = max_reply_size
        self._metrics = metrics

    def ask(self, event: Event) -> Deferred[Reply]:
        """See :meth:`phpgw.backend.IBackend.ask`."""
        answer = Deferred.fromCoroutine(
            self._exchange(encode_form(event), self._headers(event.handshake))
        )
        answer.addTimeout(self._timeout, self._reactor, onTimeoutCancel=_out_of_time)
        return answer.addErrback(self._explain)

    def close(self) -> Deferred[None]:
        """See :meth:`phpgw.backend.IBackend.close`."""
        return self._pool.closeCachedConnections()

    async def _exchange(self, body: bytes, headers: Headers) -> Reply:
        try:
            response = await self._post(self._client, body, headers)
        except (RequestTransmissionFailed, ResponseNeverReceived) as error:
            if not any(reason.check(StaleConnection) for reason in error.reasons):
                raise
            self._metrics.php_retries += 1
            response = await self._post(self._fresh_client, body, headers)
        return Reply(response.code, await self._read(response))

    def _post(self, client: HTTPClient, body: bytes, headers: Headers) -> Deferred[_Response]:
        return client.post(
            self._url,
            data=_Body(body),
            headers=headers,
            cookies=_NO_COOKIES,
            allow_redirects=False,
            unbuffered=True,
            reactor=self._reactor,
        )

    def _read(self, response: IResponse) -> Deferred[bytes]:
        collecting = _Collecting(self._max_reply_size)
        response.deliverBody(collecting)
        if isinstance(response.length, int) and response.length > self._max_reply_size:
            collecting.refuse()
        return collecting.complete

    def _explain(self, failure: Failure) -> NoReturn:
        """Turn what Twisted reports into one of our errors."""
        error = cast(BaseException, failure.value)
        if isinstance(error, BackendError):
            raise error
        if isinstance(error, (ConnectError, DNSLookupError)):
            raise BackendUnreachable(f"no connection to {self._url_text}: {error}")
        if isinstance(error, (RequestTransmissionFailed, ResponseFailed)):
            reasons = "; ".join(reason.getErrorMessage() for reason in error.reasons)
            raise BackendBroken(f"the answer from {self._url_text} was cut off: {reasons}")
        raise error


class StaleConnection(ConnectionLost):
    """A connection that had served before ended without a byte of an answer.

    The server had closed it, idle, while the request was on its way: nothing was done with it.
    """


class _Watching(ProtocolWrapper):
    """Tells :exc:`StaleConnection` from an answer that broke off."""

    _has_served = False
    _awaiting_first_byte = False

    def write(self, data: bytes) -> None:
        self._awaiting_first_byte = True
        super().write(data)

    def writeSequence(self, data: list[bytes]) -> None:
        self._awaiting_first_byte = True
        super().writeSequence(data)

    def dataReceived(self, data: bytes) -> None:
        self._has_served = True
        self._awaiting_first_byte = False
        super().dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._has_served and self._awaiting_first_byte:
            reason = Failure(StaleConnection(reason.getErrorMessage()))
        super().connectionLost(reason)


class _WatchingFactory(WrappingFactory):
    protocol = _Watching
    noisy = False


@implementer(IStreamClientEndpoint)
@attrs.frozen
class _WatchedEndpoint:
    _endpoint: IStreamClientEndpoint

    def connect(self, factory: Any) -> Deferred[IProtocol]:
        factory.noisy = False
        connected: Deferred[Any] = self._endpoint.connect(_WatchingFactory(factory))
        return connected.addCallback(lambda watching: watching.wrappedProtocol)

    def __repr__(self) -> str:
        return repr(self._endpoint)


class ReusingPool(HTTPConnectionPool):
    """Connections that are used again, each of them watched.

    Twisted's own second try is for methods like GET alone; ours needs to know more.
    """

    retryAutomatically = False
    cachedConnectionTimeout = _IDLE_SECONDS

    def getConnection(self, key: Hashable, endpoint: IStreamClientEndpoint) -> Deferred[Any]:
        return super().getConnection(key, _WatchedEndpoint(endpoint))


@implementer(IBodyProducer)
@attrs.frozen
class _Body:
    """A request body written at once; treq's own would take a turn of the reactor or two."""

    _data: bytes

    @property
    def length(self) -> int:
        return len(self._data)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self._data)
        return succeed(None)

    def pauseProducing(self) -> None:
        """Nothing is left to pause."""

    def resumeProducing(self) -> None:
        """Nothing is left to resume."""

    def stopProducing(self) -> None:
        """Nothing is left to stop."""


class _Collecting(Protocol):
    """Gathers a response's body up to a limit.

    :ivar complete: fires with the body, or fails.
    """

    def __init__(self, limit: int) -> None:
        self.complete: Deferred[bytes] = Deferred(lambda _: self._abandon())
        self._limit = limit
        self._size = 0
        self._parts: list[bytes] = []

    def dataReceived(self, data: bytes) -> None:
        self._size += len(data)
        if self._size <= self._limit:
            self._parts.append(data)
        elif not self.complete.called:
            self.refuse()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.complete.called:
            return
        # Without a length, as from PHP's built-in server, the connection's end is the body's.
        if reason.check(ResponseDone, PotentialDataLoss):
            self.complete.callback(b"".join(self._parts))
        else:
            self.complete.errback(reason)

    def refuse(self) -> None:
        """The body is larger than the limit, or is going to be."""
        self._abandon()
        self.complete.errback(ReplyTooLarge(f"PHP's reply is larger than {self._limit} bytes"))

    def _abandon(self) -> None:
        self._parts.clear()
        assert self.transport is not None
        self.transport.loseConnection()


def _out_of_time(outcome: object, seconds: float) -> NoReturn:
    raise BackendTimeout(f"no complete answer within {seconds:g} s")


def _headers(host: bytes, handshake: Handshake) -> CompleteHeaders:
    """Those of the browser that are passed on, and where the event comes from.

    A web server in between can restore the browser's address from X-Forwarded-For.
    """
    headers = CompleteHeaders(
        {b"Host": [host], b"Content-Type": [b"application/x-www-form-urlencoded"]}
    )
    for name, value in handshake.headers:
        headers.addRawHeader(name, value)
    if handshake.peer_host:
        headers.addRawHeader(b"X-Forwarded-For", handshake.peer_host.encode())
    headers.addRawHeader(b"X-Forwarded-Proto", b"https" if handshake.is_secure else b"http")
    headers.addRawHeader(b"X-Forwarded-Host", handshake.host)
    headers.is_complete = True
    return headers


def _host_header(url: str) -> bytes:
    """The URL's host, with its port unless that is the scheme's own: RFC 9110, section 7.2."""
    return urlsplit(url).netloc.encode()


def make_http_backend(
    reactor: Any,
    *,
    url: str,
    timeout: float,
    concurrency: int,
    max_reply_size: int,
    metrics: Metrics,
) -> HttpBackend:
    """A backend on this reactor, with a connection pool of its own.

    Certificates of an ``https:`` URL are verified against the system's authorities.
    """
    pool = ReusingPool(reactor)
    pool.maxPersistentPerHost = concurrency
    return HttpBackend(
        reactor=reactor,
        agent=OriginAgent(reactor, url, pool),
        fresh_agent=OriginAgent(reactor, url, HTTPConnectionPool(reactor, persistent=False)),
        pool=pool,
        url=url,
        timeout=timeout,
        max_reply_size=max_reply_size,
        metrics=metrics,
    )
