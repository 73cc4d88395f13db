"""PHP behind a web server, asked over HTTP with treq."""

from functools import lru_cache, partial
from typing import Any, NoReturn, cast
from urllib.parse import urlsplit

import attrs
from OpenSSL import SSL
from treq.client import HTTPClient
from treq.response import _Response
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectError, ConnectionClosed, DNSLookupError
from twisted.internet.interfaces import IConsumer
from twisted.python.failure import Failure
from twisted.web.client import (
    HTTPConnectionPool,
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer
from zope.interface import implementer

from phpgw.backend.connect_errors import tls_reason
from phpgw.backend.deadlines import Deadlines
from phpgw.backend.error_pages import OUTAGE_STATUSES
from phpgw.backend.errors import (
    BackendBroken,
    BackendError,
    BackendUnreachable,
    ReplyTooLarge,
    ScriptNotFound,
)
from phpgw.backend.event import Event, Handshake, Identity
from phpgw.backend.form import IdentityFields, encode_form, identity_fields
from phpgw.backend.headers import browser_headers, event_headers, identity_headers
from phpgw.backend.http.connection import (
    HeadTooLarge,
    NoTls,
    OneTryPool,
    ReusingPool,
    StaleConnection,
)
from phpgw.backend.http.exchange import Exchange, Terms
from phpgw.backend.http.fixed_url import (
    CompleteHeaders,
    CompleteUrl,
    FixedUrlAgent,
    NoCookies,
    complete_url,
)
from phpgw.backend.interface import IBackend
from phpgw.backend.reply import Follow, Reply
from phpgw.backend.signature import SIGNATURE, TIMESTAMP, Signer
from phpgw.backend.weak_cache import WeakCache
from phpgw.metrics import Metrics

_NO_COOKIES = NoCookies()
# For good, whoever asks: sections 15.4.2 and 15.4.9.
_MOVED = frozenset((301, 308))


@attrs.frozen
class _Prepared:
    """What all requests of an identity have in common."""

    url: CompleteUrl
    headers: CompleteHeaders
    fields: IdentityFields


@implementer(IBackend)
class HttpBackend:
    """POSTs events to a URL.

    :param agent: sends requests over connections that are used again.
    :param fresh_agent: sends each request over a connection of its own.
    :param url: the script's URL.
    :param timeout: seconds for an answer, from the start to its last byte; for one that is
        followed, from one piece to the next.
    :param max_reply_size: bytes that a body may have that is gathered.
    :param signer: signs each event, if it is to be signed.
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
        signer: Signer | None,
        metrics: Metrics,
    ) -> None:
        self._reactor = reactor
        self._client = HTTPClient(agent, cookiejar=_NO_COOKIES)
        self._fresh_client = HTTPClient(fresh_agent, cookiejar=_NO_COOKIES)
        self._pool = pool
        self._url = complete_url(url)
        self._url_text = url
        # What is written over TLS may not have left before TLS is agreed on.
        self._tells_ends = url.startswith("http:")
        self._host = _host_header(url)
        self._headers = WeakCache(partial(_headers, self._host))
        self._prepared = WeakCache(self._prepare)
        self._signer = signer
        self._deadlines: Deadlines[Exchange] = Deadlines(reactor, timeout, Exchange.expire)
        self._terms = Terms(self._deadlines, max_reply_size)
        self._metrics = metrics

    def ask(self, event: Event, follow: Follow | None = None) -> Deferred[Reply]:
        """See :meth:`phpgw.backend.interface.IBackend.ask`."""
        prepared = self._prepared(event.identity)
        body = encode_form(event, prepared.fields)
        headers = prepared.headers.extended(_event_headers(event.type, event.is_binary))
        if self._signer is not None:
            timestamp, signature = self._signer.sign(body)
            headers = headers.extended({TIMESTAMP: [timestamp], SIGNATURE: [signature]})
        request = _Body(body)
        exchange = Exchange(self._terms, follow, request if self._tells_ends else None)
        responding: Deferred[Any] = self._post(self._client, prepared.url, request, headers)
        responding.addErrback(self._post_again, prepared.url, request, headers)
        exchange.begin(responding)
        return exchange.answer.addErrback(self._explain)

    def withdraw(self, client_id: str) -> None:
        """See :meth:`phpgw.backend.interface.IBackend.withdraw`; a web server has all there is."""

    def probe(self) -> Deferred[None]:
        """See :meth:`phpgw.backend.interface.IBackend.probe`.

        Whether there is PHP behind a web server can only be told from what comes from the script's
        URL. OPTIONS asks for nothing to be done (RFC 9110, section 9.3.7), and browsers send it for
        any page of another site. Frameworks answer it themselves; a script that looks at neither
        method nor fields runs, without fields.
        """
        exchange = Exchange(self._terms, None)
        headers = CompleteHeaders({b"Host": [self._host], b"Phpgw-Event": [b"probe"]})
        headers.is_complete = True
        responding: Deferred[Any] = self._fresh_client.request(
            "OPTIONS",
            self._url,
            headers=headers,
            cookies=_NO_COOKIES,
            allow_redirects=False,
            unbuffered=True,
            reactor=self._reactor,
        )
        exchange.begin(responding)
        return exchange.answer.addErrback(self._explain).addCallback(self._check_probed)

    def close(self) -> Deferred[None]:
        """See :meth:`phpgw.backend.interface.IBackend.close`."""
        for exchange in list(self._terms.under_way):
            exchange.stop()
        self._deadlines.close()
        return self._pool.closeCachedConnections()

    def _check_probed(self, reply: Reply) -> None:
        """Take any answer that could be PHP's."""
        head, url = reply.head, self._url_text
        if head.status in OUTAGE_STATUSES:
            raise BackendUnreachable(
                f"{url} answers with status {head.status}: its web server gets no answer from PHP"
            )
        if head.status in _MOVED:
            place = b"".join(head.values(b"location")[:1]).decode("ascii", "backslashreplace")
            raise ScriptNotFound(
                f"{url} answers with status {head.status}, to {place!r}: --php-url has to be where "
                "the script is, as no event is sent twice"
            )
        if head.status == 404:
            raise ScriptNotFound(
                f"{url} answers with status 404: is the path of --php-url right? (If it is, and "
                "there is no answer to OPTIONS alone: --php-probe off)"
            )

    def _prepare(self, identity: Identity) -> _Prepared:
        more = {name: [value] for name, value in identity_headers(identity)}
        headers = self._headers(identity.handshake).extended(more)
        return _Prepared(self._url_for(identity.handshake), headers, identity_fields(identity))

    def _url_for(self, handshake: Handshake) -> CompleteUrl:
        return self._url.with_query(handshake.query) if handshake.query else self._url

    def _post(
        self, client: HTTPClient, url: CompleteUrl, body: "_Body", headers: Headers
    ) -> Deferred[_Response]:
        return client.post(
            url,
            data=body,
            headers=headers,
            cookies=_NO_COOKIES,
            allow_redirects=False,
            unbuffered=True,
            reactor=self._reactor,
        )

    def _post_again(
        self, failure: Failure, url: CompleteUrl, body: "_Body", headers: Headers
    ) -> Any:
        failure.trap(RequestTransmissionFailed, ResponseNeverReceived)
        error: Any = failure.value
        if not any(reason.check(StaleConnection) for reason in error.reasons):
            return failure
        self._metrics.php_retries += 1
        return self._post(self._fresh_client, url, body, headers)

    def _explain(self, failure: Failure) -> NoReturn:
        """Turn what Twisted reports into one of our errors."""
        error = cast(BaseException, failure.value)
        if isinstance(error, BackendError):
            raise error
        if isinstance(error, (ConnectError, DNSLookupError)):
            raise BackendUnreachable(f"no connection to {self._url_text}: {error}")
        if isinstance(error, (RequestTransmissionFailed, ResponseFailed)):
            raise self._interrupted(error.reasons)
        raise error

    def _interrupted(self, reasons: list[Failure]) -> BackendError:
        """Say what it means that there is no complete answer."""
        url = self._url_text
        for reason in reasons:
            error = cast(BaseException, reason.value)
            if isinstance(error, NoTls):
                return BackendUnreachable(f"no TLS connection to {url}: {error.args[0]}")
            if isinstance(error, HeadTooLarge):
                return ReplyTooLarge(
                    f"{url} sends more than 64 KB of headers, or one of more than 16 KB"
                )
            if isinstance(error, SSL.Error):
                return BackendBroken(f"the TLS connection to {url} failed: {tls_reason(error)}")
        problem = "; ".join(reason.getErrorMessage() for reason in reasons)
        if any(reason.check(ConnectionClosed) for reason in reasons):
            return BackendBroken(f"the answer from {url} was cut off: {problem}")
        return BackendBroken(f"the answer from {url} is not proper HTTP: {problem}")


@implementer(IBodyProducer)
@attrs.define(eq=False)
class _Body:
    """A request body written at once; treq's own would take a turn of the reactor or two.

    :ivar is_sent: whether it was written.
    """

    _data: bytes
    is_sent: bool = False

    @property
    def length(self) -> int:
        return len(self._data)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        self.is_sent = True
        consumer.write(self._data)
        return succeed(None)

    def pauseProducing(self) -> None:
        """Nothing is left to pause."""

    def resumeProducing(self) -> None:
        """Nothing is left to resume."""

    def stopProducing(self) -> None:
        """Nothing is left to stop."""


def _headers(host: bytes, handshake: Handshake) -> CompleteHeaders:
    """Those of the browser that are passed on, and where the event comes from.

    A web server in between can restore the browser's address from X-Forwarded-For.
    """
    headers = CompleteHeaders(
        {b"Host": [host], b"Content-Type": [b"application/x-www-form-urlencoded"]}
    )
    for name, value in browser_headers(handshake):
        headers.addRawHeader(name, value)
    if handshake.peer_host:
        headers.addRawHeader(b"X-Forwarded-For", handshake.peer_host.encode())
    headers.addRawHeader(b"X-Forwarded-Proto", b"https" if handshake.is_secure else b"http")
    if handshake.host:
        headers.addRawHeader(b"X-Forwarded-Host", handshake.host)
    headers.is_complete = True
    return headers


@lru_cache(maxsize=16)
def _event_headers(type_: str, is_binary: bool) -> dict[bytes, list[bytes]]:
    return {name: [value] for name, value in event_headers(type_, is_binary)}


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
    signer: Signer | None,
    metrics: Metrics,
) -> HttpBackend:
    """A backend on this reactor, with a connection pool of its own.

    Certificates of an ``https:`` URL are verified against the system's authorities.
    """
    pool = ReusingPool(reactor)
    pool.maxPersistentPerHost = concurrency
    return HttpBackend(
        reactor=reactor,
        agent=FixedUrlAgent(reactor, url, pool),
        fresh_agent=FixedUrlAgent(reactor, url, OneTryPool(reactor, persistent=False)),
        pool=pool,
        url=url,
        timeout=timeout,
        max_reply_size=max_reply_size,
        signer=signer,
        metrics=metrics,
    )
