"""PHP-FPM, asked over FastCGI without a web server in between."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import IStreamClientEndpoint
from zope.interface import implementer

from phpgw.backend.connect_errors import BusyLog
from phpgw.backend.deadlines import Deadlines
from phpgw.backend.errors import Withdrawn
from phpgw.backend.event import Event, Handshake, Identity
from phpgw.backend.fastcgi.cgi import Script, client_pairs, header_pairs, pair_name
from phpgw.backend.fastcgi.exchange import Exchange, Terms
from phpgw.backend.fastcgi.pool import Pool
from phpgw.backend.fastcgi.probe import Probe
from phpgw.backend.fastcgi.records import Params, encode_pair, encode_params, encode_request
from phpgw.backend.form import IdentityFields, encode_form, identity_fields
from phpgw.backend.headers import Header, event_headers, identity_headers
from phpgw.backend.interface import IBackend
from phpgw.backend.reply import Follow, Reply
from phpgw.backend.signature import SIGNATURE, TIMESTAMP, Signer
from phpgw.backend.weak_cache import WeakCache
from phpgw.metrics import Metrics

# Opening a connection anew takes 0.2 ms, so it matters only to those that are used more often.
_IDLE_SECONDS = 0.02
_TIMESTAMP, _SIGNATURE = map(pair_name, (TIMESTAMP, SIGNATURE))


@attrs.frozen
class _Prepared:
    """What all requests of an identity have in common.

    :ivar params: what they share with those of all identities with this handshake.
    :ivar own: further pairs.
    """

    params: Params
    own: bytes
    fields: IdentityFields


@lru_cache(maxsize=16)
def _event_pairs(type_: str, is_binary: bool) -> bytes:
    return _encode_headers(event_headers(type_, is_binary))


def _encode_headers(headers: Iterable[Header]) -> bytes:
    return b"".join(encode_pair(*pair) for pair in header_pairs(headers))


@implementer(IBackend)
class FastCgiBackend:
    """Hands events to PHP-FPM.

    :param script: where PHP finds the script.
    :param document_root: see :class:`phpgw.backend.fastcgi.cgi.Script`.
    :param timeout: seconds for an answer, from when a worker takes the event to its last byte; for
        one that is followed, from one piece to the next.
    :param queue_timeout: seconds until a worker takes it; 0 for ever.
    :param concurrency: how many connections there may be.
    :param max_reply_size: bytes that a body may have that is gathered.
    :param signer: signs each event, if it is to be signed.
    :param idle_seconds: how long a connection is kept that nobody uses.
    """

    def __init__(
        self,
        *,
        reactor: Any,
        endpoint: IStreamClientEndpoint,
        script: str,
        document_root: str | None,
        timeout: float,
        queue_timeout: float,
        concurrency: int,
        max_reply_size: int,
        signer: Signer | None,
        metrics: Metrics,
        idle_seconds: float = _IDLE_SECONDS,
    ) -> None:
        script_pairs = Script(script, document_root).pairs
        self._params: WeakCache[Handshake, Params] = WeakCache(
            lambda handshake: encode_params(script_pairs + client_pairs(handshake))
        )
        self._prepared = WeakCache(self._prepare)
        self._signer = signer
        self._pool = Pool(
            reactor=reactor,
            endpoint=endpoint,
            limit=concurrency,
            idle_seconds=idle_seconds,
            connect_seconds=min(timeout, queue_timeout or timeout),
            metrics=metrics,
        )
        self._deadlines: Deadlines[Exchange] = Deadlines(reactor, timeout, Exchange.expire)
        self._queue: Deadlines[Exchange] = Deadlines(reactor, queue_timeout, Exchange.give_up)
        self._probes: Deadlines[Probe] = Deadlines(reactor, timeout, Probe.give_up)
        busy = BusyLog(reactor.seconds)
        self._terms = Terms(
            self._pool, self._queue, self._deadlines, max_reply_size, busy, reactor.seconds, metrics
        )

    def ask(self, event: Event, follow: Follow | None = None) -> Deferred[Reply]:
        """See :meth:`phpgw.backend.interface.IBackend.ask`."""
        prepared = self._prepared(event.identity)
        body = encode_form(event, prepared.fields)
        own = prepared.own + _event_pairs(event.type, event.is_binary)
        own += encode_pair(b"CONTENT_LENGTH", b"%d" % len(body))
        if self._signer is not None:
            timestamp, signature = self._signer.sign(body)
            own += encode_pair(_TIMESTAMP, timestamp) + encode_pair(_SIGNATURE, signature)
        request = encode_request(prepared.params, own, body)
        exchange = Exchange(self._terms, event, request, follow)
        self._pool.submit(exchange)
        if exchange.connection is None and not exchange.answer.called:
            exchange.wait()
        return exchange.answer

    def withdraw(self, client_id: str) -> None:
        """See :meth:`phpgw.backend.interface.IBackend.withdraw`."""
        for ask in self._pool.waiting():
            if isinstance(ask, Exchange) and ask.event.is_of(client_id):
                self._pool.withdraw(ask)
                ask.fail(Withdrawn(self._pool.trouble()))

    def probe(self) -> Deferred[None]:
        """See :meth:`phpgw.backend.interface.IBackend.probe`."""
        probe = Probe(self._pool, self._probes)
        self._probes.start(probe)
        self._pool.submit(probe)
        return probe.answered

    def close(self) -> Deferred[None]:
        """See :meth:`phpgw.backend.interface.IBackend.close`."""
        closed = self._pool.close()
        for deadlines in (self._deadlines, self._queue, self._probes):
            deadlines.close()
        return closed

    def _prepare(self, identity: Identity) -> _Prepared:
        return _Prepared(
            self._params(identity.handshake),
            _encode_headers(identity_headers(identity)),
            identity_fields(identity),
        )


def make_fastcgi_backend(
    reactor: Any,
    *,
    endpoint: str | IStreamClientEndpoint,
    script: str,
    document_root: str | None = None,
    timeout: float,
    queue_timeout: float,
    concurrency: int,
    max_reply_size: int,
    signer: Signer | None,
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
        queue_timeout=queue_timeout,
        concurrency=concurrency,
        max_reply_size=max_reply_size,
        signer=signer,
        metrics=metrics,
    )
