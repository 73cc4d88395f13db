"""The backend that asks PHP behind a web server, over HTTP with treq."""

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
    NoRetryPool,
    PersistentPool,
    StaleConnection,
    TlsFailed,
)
from phpgw.backend.http.exchange import HttpContext, HttpExchange
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
from phpgw.backend.tls_errors import tls_reason
from phpgw.backend.weak_cache import WeakCache
from phpgw.metrics import Metrics

_NO_COOKIES = NoCookies()
# Permanent redirects: RFC 9110, sections 15.4.2 and 15.4.9.
_MOVED = frozenset((301, 308))


@attrs.frozen
class _HttpTemplate:
    """The parts that all requests of an identity share."""

    url: CompleteUrl
    headers: CompleteHeaders
    fields: IdentityFields


@implementer(IBackend)
class HttpBackend:
    """POSTs events to a URL.

    :param agent: sends requests over persistent connections.
    :param fresh_agent: sends each request over a connection of its own.
    :param pool: the agent's connection pool.
    :param url: the script's URL.
    :param timeout: seconds from the start of a request to the last byte of its reply; for a
        streamed reply, from one piece to the next.
    :param max_reply_size: bytes that a body may have, unless it is streamed.
    :param signer: signs each event, if events are to be signed.
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
        # Over TLS it is not known whether a request was sent: the handshake may not be complete.
        self._shows_script_end = url.startswith("http:")
        self._host = _host_header(url)
        self._headers = WeakCache(partial(_make_headers, self._host))
        self._templates = WeakCache(self._make_template)
        self._signer = signer
        self._deadlines: Deadlines[HttpExchange] = Deadlines(reactor, timeout, HttpExchange.expire)
        self._context = HttpContext(self._deadlines, max_reply_size)
        self._metrics = metrics

    def ask(self, event: Event, follow: Follow | None = None) -> Deferred[Reply]:
        """See :meth:`phpgw.backend.interface.IBackend.ask`."""
        template = self._templates(event.identity)
        body = encode_form(event, template.fields)
        headers = template.headers.extended(_event_headers(event.type, event.is_binary))
        if self._signer is not None:
            timestamp, signature = self._signer.sign(body)
            headers = headers.extended({TIMESTAMP: [timestamp], SIGNATURE: [signature]})
        form = _FormBody(body)
        exchange = HttpExchange(self._context, follow, form if self._shows_script_end else None)
        responding: Deferred[Any] = self._post(self._client, template.url, form, headers)
        responding.addErrback(self._retry_stale, template.url, form, headers)
        exchange.begin(responding)
        return exchange.reply.addErrback(self._explain)

    def withdraw(self, client_id: str) -> None:
        """See :meth:`phpgw.backend.interface.IBackend.withdraw`; nothing waits here."""

    def probe(self) -> Deferred[None]:
        """See :meth:`phpgw.backend.interface.IBackend.probe`.

        Only a response from the script's URL shows whether there is PHP behind a web server.
        OPTIONS is a safe method (RFC 9110, section 9.3.7), and browsers send it to any site.
        Frameworks respond to it themselves; a script that looks at neither method nor fields runs,
        without fields.
        """
        exchange = HttpExchange(self._context, None)
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
        return exchange.reply.addErrback(self._explain).addCallback(self._check_probed)

    def close(self) -> Deferred[None]:
        """See :meth:`phpgw.backend.interface.IBackend.close`."""
        for exchange in list(self._context.active):
            exchange.stop()
        self._deadlines.close()
        return self._pool.closeCachedConnections()

    def _check_probed(self, reply: Reply) -> None:
        """Accept any response that could come from PHP.

        :raises BackendUnreachable: if the web server does not reach PHP.
        :raises ScriptNotFound: if the script is not at the URL.
        """
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

    def _make_template(self, identity: Identity) -> _HttpTemplate:
        more = {name: [value] for name, value in identity_headers(identity)}
        headers = self._headers(identity.handshake).extended(more)
        return _HttpTemplate(self._url_for(identity.handshake), headers, identity_fields(identity))

    def _url_for(self, handshake: Handshake) -> CompleteUrl:
        return self._url.with_query(handshake.query) if handshake.query else self._url

    def _post(
        self, client: HTTPClient, url: CompleteUrl, body: "_FormBody", headers: Headers
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

    def _retry_stale(
        self, failure: Failure, url: CompleteUrl, body: "_FormBody", headers: Headers
    ) -> Any:
        failure.trap(RequestTransmissionFailed, ResponseNeverReceived)
        error: Any = failure.value
        if not any(reason.check(StaleConnection) for reason in error.reasons):
            return failure
        self._metrics.php_retries += 1
        return self._post(self._fresh_client, url, body, headers)

    def _explain(self, failure: Failure) -> NoReturn:
        """Raise a :exc:`BackendError` in place of an error of Twisted's."""
        error = cast(BaseException, failure.value)
        if isinstance(error, BackendError):
            raise error
        if isinstance(error, (ConnectError, DNSLookupError)):
            raise BackendUnreachable(f"no connection to {self._url_text}: {error}")
        if isinstance(error, (RequestTransmissionFailed, ResponseFailed)):
            raise self._explain_broken(error.reasons)
        raise error

    def _explain_broken(self, reasons: list[Failure]) -> BackendError:
        """Return the error of an incomplete response."""
        url = self._url_text
        for reason in reasons:
            error = cast(BaseException, reason.value)
            if isinstance(error, TlsFailed):
                return BackendUnreachable(f"no TLS connection to {url}: {error.args[0]}")
            if isinstance(error, HeadTooLarge):
                return ReplyTooLarge(
                    f"{url} sends more than 64 KB of headers, or one of more than 16 KB"
                )
            if isinstance(error, SSL.Error):
                return BackendBroken(f"the TLS connection to {url} failed: {tls_reason(error)}")
        problem = "; ".join(reason.getErrorMessage() for reason in reasons)
        if any(reason.check(ConnectionClosed) for reason in reasons):
            return BackendBroken(f"the response from {url} was cut off: {problem}")
        return BackendBroken(f"the response from {url} is not proper HTTP: {problem}")


@implementer(IBodyProducer)
@attrs.define(eq=False)
class _FormBody:
    """A request body that is written at once; treq's own takes a turn of the reactor or two.

    :ivar is_sent: whether it was written to a connection.
    """

    _data: bytes
    is_sent: bool = False

    @property
    def length(self) -> int:
        """Return the size in bytes."""
        return len(self._data)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Write the whole body."""
        self.is_sent = True
        consumer.write(self._data)
        return succeed(None)

    def pauseProducing(self) -> None:
        """Do nothing: all is written."""

    def resumeProducing(self) -> None:
        """Do nothing: all is written."""

    def stopProducing(self) -> None:
        """Do nothing: all is written."""


def _make_headers(host: bytes, handshake: Handshake) -> CompleteHeaders:
    """Return the headers that depend on the handshake alone.

    A web server in between can restore the client's address from X-Forwarded-For.
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
    """Return the Host header for a URL: RFC 9110, section 7.2."""
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
    """Make a backend with a connection pool of its own; see :class:`HttpBackend`.

    Certificates of an ``https:`` URL are verified against the system's authorities.

    :param concurrency: how many idle connections are kept.
    :raises UnicodeError: if there can be no certificate for the host of an ``https:`` URL.
    """
    pool = PersistentPool(reactor)
    pool.maxPersistentPerHost = concurrency
    return HttpBackend(
        reactor=reactor,
        agent=FixedUrlAgent(reactor, url, pool),
        fresh_agent=FixedUrlAgent(reactor, url, NoRetryPool(reactor, persistent=False)),
        pool=pool,
        url=url,
        timeout=timeout,
        max_reply_size=max_reply_size,
        signer=signer,
        metrics=metrics,
    )
