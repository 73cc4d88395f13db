"""The backend that asks PHP-FPM over FastCGI."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import IStreamClientEndpoint
from zope.interface import implementer

from phpgw.backend.errors import Withdrawn
from phpgw.backend.event import Event, Handshake, Identity
from phpgw.backend.fastcgi.cgi import Script, client_pairs, header_pairs, pair_name
from phpgw.backend.fastcgi.exchange import FastCgiContext, FastCgiExchange
from phpgw.backend.fastcgi.pool import FastCgiPool
from phpgw.backend.fastcgi.probe import FastCgiProbe
from phpgw.backend.fastcgi.records import Params, encode_pair, encode_params, encode_request
from phpgw.backend.fastcgi.worker_shortage import WorkerShortageLog
from phpgw.backend.form import IdentityFields, encode_form, identity_fields
from phpgw.backend.headers import EVENT_ID, Header, event_headers, identity_headers
from phpgw.backend.interface import IBackend
from phpgw.backend.receiver import Cancellable, DeferredReply, ReplyReceiver
from phpgw.backend.reply import Follow, Reply
from phpgw.backend.signature import SIGNATURE, TIMESTAMP, Signer
from phpgw.backend.weak_cache import WeakCache
from phpgw.deadlines import Deadlines
from phpgw.metrics import Metrics

# Opening a connection takes 0.2 ms, so keeping one for longer saves little.
_IDLE_SECONDS = 0.02
_TIMESTAMP, _SIGNATURE = map(pair_name, (TIMESTAMP, SIGNATURE))
# The pair with the id of an event, to be completed with the length of the id, and the id.
_ID_PAIR = b"%c%%c%b%%b" % (len(pair_name(EVENT_ID)), pair_name(EVENT_ID))


@attrs.frozen
class _FastCgiTemplate:
    """The parts that all requests of an identity share.

    :ivar params: the pairs that all identities with this handshake share.
    :ivar pairs: further pairs, encoded.
    :ivar fields: form fields.
    """

    params: Params
    pairs: bytes
    fields: IdentityFields


@lru_cache(maxsize=16)
def _event_pairs(type_: str, is_binary: bool) -> bytes:
    return _encode_headers(event_headers(type_, is_binary))


@lru_cache(maxsize=256)
def _length_pair(size: int) -> bytes:
    return encode_pair(b"CONTENT_LENGTH", b"%d" % size)


def _encode_headers(headers: Iterable[Header]) -> bytes:
    return b"".join(encode_pair(*pair) for pair in header_pairs(headers))


@implementer(IBackend)
class FastCgiBackend:
    """Asks PHP-FPM over FastCGI.

    :param endpoint: leads to PHP-FPM.
    :param script: the script's path as PHP-FPM sees it.
    :param document_root: see :class:`phpgw.backend.fastcgi.cgi.Script`.
    :param timeout: seconds from when a worker takes an event to the last byte of its reply; for a
        streamed reply, from one piece to the next.
    :param queue_timeout: seconds until a worker takes an event; 0 for no limit.
    :param concurrency: how many connections there may be.
    :param max_reply_size: bytes that a body may have, unless it is streamed.
    :param signer: signs each event, if events are to be signed.
    :param idle_seconds: how long an idle connection is kept.
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
        self._templates = WeakCache(self._make_template)
        self._signer = signer
        self._pool = FastCgiPool(
            reactor=reactor,
            endpoint=endpoint,
            limit=concurrency,
            idle_seconds=idle_seconds,
            connect_seconds=min(timeout, queue_timeout or timeout),
            metrics=metrics,
        )
        self._deadlines: Deadlines[FastCgiExchange] = Deadlines(
            reactor, timeout, FastCgiExchange.expire
        )
        self._queue: Deadlines[FastCgiExchange] = Deadlines(
            reactor, queue_timeout, FastCgiExchange.expire_in_queue
        )
        self._probes: Deadlines[FastCgiProbe] = Deadlines(reactor, timeout, FastCgiProbe.expire)
        self._context = FastCgiContext(
            pool=self._pool,
            queue=self._queue,
            deadlines=self._deadlines,
            max_reply_size=max_reply_size,
            shortage=WorkerShortageLog(reactor.seconds),
            now=reactor.seconds,
            metrics=metrics,
        )

    def ask(self, event: Event, follow: Follow | None = None) -> Deferred[Reply]:
        """See :meth:`phpgw.backend.interface.IBackend.ask`."""
        receiver = DeferredReply(follow)
        receiver.sent = self.send(event, receiver)
        return receiver.reply

    def send(self, event: Event, receiver: ReplyReceiver) -> Cancellable:
        """See :meth:`phpgw.backend.interface.IBackend.send`."""
        template = self._templates(event.identity)
        body = encode_form(event, template.fields)
        event_id = event.id.encode()
        pairs = b"".join(
            (
                template.pairs,
                _event_pairs(event.type, event.is_binary),
                _ID_PAIR % (len(event_id), event_id),
                _length_pair(len(body)),
            )
        )
        if self._signer is not None:
            timestamp, signature = self._signer.sign(body)
            pairs += encode_pair(_TIMESTAMP, timestamp) + encode_pair(_SIGNATURE, signature)
        data = encode_request(template.params, pairs, body)
        exchange = FastCgiExchange(self._context, event, data, receiver)
        self._pool.submit(exchange)
        if exchange.connection is None and not exchange.has_ended:
            exchange.wait()
        return exchange

    def count_connections(self) -> dict[str, int]:
        """See :meth:`phpgw.backend.fastcgi.pool.FastCgiPool.count_connections`."""
        return self._pool.count_connections()

    def withdraw(self, client_id: str) -> None:
        """See :meth:`phpgw.backend.interface.IBackend.withdraw`."""
        for request in self._pool.waiting():
            if isinstance(request, FastCgiExchange) and request.event.is_awaited_by(client_id):
                self._pool.withdraw(request)
                request.fail(Withdrawn(self._pool.recent_error()))

    def probe(self) -> Deferred[None]:
        """See :meth:`phpgw.backend.interface.IBackend.probe`."""
        probe = FastCgiProbe(self._pool, self._probes)
        self._probes.start(probe)
        self._pool.submit(probe)
        return probe.done

    def close(self) -> Deferred[None]:
        """See :meth:`phpgw.backend.interface.IBackend.close`."""
        closed = self._pool.close()
        for deadlines in (self._deadlines, self._queue, self._probes):
            deadlines.close()
        return closed

    def _make_template(self, identity: Identity) -> _FastCgiTemplate:
        return _FastCgiTemplate(
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
    """Make a backend with a connection pool of its own; see :class:`FastCgiBackend`.

    :param endpoint: leads to PHP-FPM; a string is one of Twisted's client endpoints.
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
