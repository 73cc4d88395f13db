"""The backend that asks PHP behind a web server, over HTTP with treq."""

from functools import lru_cache, partial
from operator import attrgetter
from typing import Any
from urllib.parse import urlsplit

import attrs
from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionClosed, DNSLookupError
from twisted.python.failure import Failure
from zope.interface import implementer

from phpgw.backend.error_pages import OUTAGE_STATUSES
from phpgw.backend.errors import (
    BackendBroken,
    BackendUnreachable,
    ReplyTooLarge,
    ScriptNotFound,
)
from phpgw.backend.event import Event, Handshake, Identity
from phpgw.backend.form import IdentityFields, encode_form, identity_fields
from phpgw.backend.headers import EVENT_ID, browser_headers, event_headers, identity_headers
from phpgw.backend.http.agent import HttpAgent
from phpgw.backend.http.client import PreparedClient
from phpgw.backend.http.connection import HeadTooLarge, NotHttp, TlsFailed
from phpgw.backend.http.exchange import HttpContext, HttpExchange
from phpgw.backend.http.pool import HttpPool
from phpgw.backend.http.prepared import (
    PreparedHeaders,
    RequestBody,
    complete_url,
    header_lines,
)
from phpgw.backend.interface import IBackend
from phpgw.backend.receiver import Cancellable, DeferredReply, ReplyReceiver
from phpgw.backend.reply import Follow, Reply
from phpgw.backend.signature import SIGNATURE, TIMESTAMP, Signer
from phpgw.backend.weak_cache import WeakCache
from phpgw.deadlines import Deadlines
from phpgw.metrics import Metrics
from phpgw.transport.tls_errors import tls_reason

# Shorter than Nginx's default keepalive_timeout (75 s), so that the gateway closes first.
IDLE_SECONDS = 60
_ID_LINE = header_lines([(EVENT_ID, b"%b")])
# Permanent redirects: RFC 9110, sections 15.4.2 and 15.4.9.
_MOVED = frozenset((301, 308))


@attrs.frozen
class _HttpTemplate:
    """The parts that all requests of an identity share."""

    url: bytes
    header_lines: bytes
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
        agent: HttpAgent,
        fresh_agent: HttpAgent,
        pool: HttpPool,
        url: str,
        timeout: float,
        max_reply_size: int,
        signer: Signer | None,
    ) -> None:
        self._reactor = reactor
        self._client = PreparedClient(agent)
        self._fresh_client = PreparedClient(fresh_agent)
        self._pool = pool
        self._url = complete_url(url)
        self._url_text = url
        # Over TLS it is not known whether a request was sent: the handshake may not be complete.
        self._shows_script_end = url.startswith("http:")
        self._host = _host_header(url)
        self._header_lines = WeakCache(partial(_encode_headers, self._host))
        self._templates = WeakCache(self._make_template)
        self._signer = signer
        self._deadlines: Deadlines[HttpExchange] = Deadlines(reactor, timeout, HttpExchange.expire)
        self._context = HttpContext(self._deadlines, max_reply_size, self._explain)

    def ask(self, event: Event, follow: Follow | None = None) -> Deferred[Reply]:
        """See :meth:`phpgw.backend.interface.IBackend.ask`."""
        receiver = DeferredReply(follow)
        receiver.sent = self.send(event, receiver)
        return receiver.reply

    def send(self, event: Event, receiver: ReplyReceiver) -> Cancellable:
        """See :meth:`phpgw.backend.interface.IBackend.send`."""
        template = self._templates(event.identity)
        body = encode_form(event, template.fields)
        lines = _event_lines(event.type, event.is_binary) + _ID_LINE % event.id.encode()
        if self._signer is not None:
            timestamp, signature = self._signer.sign(body)
            lines += header_lines(((TIMESTAMP, timestamp), (SIGNATURE, signature)))
        form = RequestBody(body)
        exchange = HttpExchange(self._context, receiver, form if self._shows_script_end else None)
        headers = PreparedHeaders(template.header_lines + lines)
        exchange.begin()
        exchange.request = self._client.post_prepared(template.url, headers, form, exchange)
        return exchange

    def count_idle_connections(self) -> int:
        """Return how many connections are kept for the next event."""
        return len(self._pool)

    def withdraw(self, client_id: str) -> None:
        """See :meth:`phpgw.backend.interface.IBackend.withdraw`; nothing waits here."""

    def probe(self) -> Deferred[None]:
        """See :meth:`phpgw.backend.interface.IBackend.probe`.

        Only a response from the script's URL shows whether there is PHP behind a web server.
        OPTIONS is a safe method (RFC 9110, section 9.3.7), and browsers send it to any site.
        Frameworks respond to it themselves; a script that looks at neither method nor fields runs,
        without fields.
        """
        receiver = DeferredReply(None)
        receiver.sent = exchange = HttpExchange(self._context, receiver)
        headers = PreparedHeaders(
            header_lines(
                ((b"Host", self._host), (b"Phpgw-Event", b"probe"), (b"Connection", b"close"))
            )
        )
        exchange.begin()
        exchange.request = responding = self._fresh_client.request(
            "OPTIONS",
            self._url,
            headers=headers,
            allow_redirects=False,
            unbuffered=True,
            reactor=self._reactor,
        )
        responding.addCallback(attrgetter("original"))
        responding.addCallbacks(exchange.responded, exchange.unanswered)
        return receiver.reply.addCallback(self._check_probed)

    def close(self) -> Deferred[None]:
        """See :meth:`phpgw.backend.interface.IBackend.close`."""
        for exchange in list(self._context.active):
            exchange.stop()
        self._deadlines.close()
        return self._pool.close()

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
        handshake = identity.handshake
        lines = self._header_lines(handshake) + header_lines(identity_headers(identity))
        return _HttpTemplate(self._url_for(handshake), lines, identity_fields(identity))

    def _url_for(self, handshake: Handshake) -> bytes:
        url = self._url.with_query(handshake.query) if handshake.query else self._url
        return url.to_text().encode("ascii")

    def _explain(self, failure: Failure) -> Failure:
        """Return the failure of an event in place of what ended its connection."""
        error, url = failure.value, self._url_text
        if isinstance(error, TlsFailed):
            return Failure(BackendUnreachable(f"no TLS connection to {url}: {error.args[0]}"))
        if isinstance(error, (ConnectError, DNSLookupError)):
            return Failure(BackendUnreachable(f"no connection to {url}: {error}"))
        if isinstance(error, HeadTooLarge):
            return Failure(ReplyTooLarge(f"{url} sends more than 64 KB of headers"))
        if isinstance(error, SSL.Error):
            reason = tls_reason(error)
            return Failure(BackendBroken(f"the TLS connection to {url} failed: {reason}"))
        if isinstance(error, ConnectionClosed):
            reason = failure.getErrorMessage()
            return Failure(BackendBroken(f"the response from {url} was cut off: {reason}"))
        if isinstance(error, NotHttp):
            return Failure(BackendBroken(f"the response from {url} is not proper HTTP: {error}"))
        return failure


def _encode_headers(host: bytes, handshake: Handshake) -> bytes:
    """Return the lines of the headers that depend on the handshake alone.

    A web server in between can restore the client's address from X-Forwarded-For.
    """
    forwarded = [(b"X-Forwarded-Proto", b"https" if handshake.is_secure else b"http")]
    if handshake.peer_host:
        forwarded.insert(0, (b"X-Forwarded-For", handshake.peer_host.encode()))
    if handshake.host:
        forwarded.append((b"X-Forwarded-Host", handshake.host))
    return header_lines(
        (
            (b"Host", host),
            (b"Content-Type", b"application/x-www-form-urlencoded"),
            *browser_headers(handshake),
            *forwarded,
        )
    )


@lru_cache(maxsize=16)
def _event_lines(type_: str, is_binary: bool) -> bytes:
    return header_lines(event_headers(type_, is_binary))


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
    pool = HttpPool(reactor, concurrency, IDLE_SECONDS)
    return HttpBackend(
        reactor=reactor,
        agent=HttpAgent(reactor, url, pool, metrics),
        fresh_agent=HttpAgent(reactor, url, HttpPool(reactor, 0, IDLE_SECONDS), metrics),
        pool=pool,
        url=url,
        timeout=timeout,
        max_reply_size=max_reply_size,
        signer=signer,
    )
