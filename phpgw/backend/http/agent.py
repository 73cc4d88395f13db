"""The agent beneath treq: requests to one web server, over connections that are kept.

Twisted's own agent parses a response in Python, a line at a time, and makes anew for each request
what is always the same against one server. Over HTTP that was two thirds of the gateway's work.
"""

from typing import Any
from typing import Protocol as Interface

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure
from twisted.web.client import URI, BrowserLikePolicyForHTTPS
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from phpgw.backend.http.connection import HttpConnection, StaleConnection
from phpgw.backend.http.pool import HttpPool
from phpgw.backend.http.prepared import PreparedHeaders, RequestBody
from phpgw.backend.http.response import HttpResponse
from phpgw.backend.receiver import Cancellable
from phpgw.metrics import Metrics
from phpgw.transport.host_endpoint import HostEndpoint


class ResponseReceiver(Interface):
    """Receives the outcome of one request; one of its methods is called, once."""

    def responded(self, response: HttpResponse) -> None:
        """Receive the response once its head is there; its body is to be taken at once."""

    def unanswered(self, reason: Failure) -> None:
        """Receive what ended the connection before there was a response."""


@implementer(IAgent)
class HttpAgent:
    """Sends requests to one URL, with whatever query.

    :param url: of which the scheme, the host and the port count.
    :raises UnicodeError: if the URL's host is no name that a certificate can be for.
    """

    def __init__(self, reactor: Any, url: str, pool: HttpPool, metrics: Metrics) -> None:
        self._endpoint = _endpoint(reactor, URI.fromBytes(url.encode("ascii")))
        self._path_start = url.index("/", url.index("//") + 2)
        self._factory = _HttpConnectionFactory(pool)
        self._pool = pool
        self._metrics = metrics

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        """Do the same as :meth:`send`, with the response in a Deferred; it can be cancelled.

        :param bodyProducer: a :class:`phpgw.backend.http.prepared.RequestBody`, if there is a body.
        """
        assert isinstance(headers, PreparedHeaders)
        assert bodyProducer is None or isinstance(bodyProducer, RequestBody)
        receiver = _DeferredResponse()
        receiver.request = self.send(method, uri, headers, bodyProducer, receiver)
        return receiver.responding

    def send(
        self,
        method: bytes,
        uri: bytes,
        headers: PreparedHeaders,
        body: RequestBody | None,
        receiver: ResponseReceiver,
    ) -> Cancellable:
        """Request a URL that differs from the agent's in its path and query at most.

        A request is sent once more, over a new connection, if a kept one turns out to have been
        closed before it.

        :param receiver: receives the response, or what ended the connection, perhaps at once.
        """
        target = uri[self._path_start :]
        if body is None:
            data = b"%b %b HTTP/1.1\r\n%b\r\n" % (method, target, headers.lines)
        else:
            data = b"%b %b HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n%b" % (
                *(method, target, headers.lines),
                *(len(body.data), body.data),
            )
        request = _Request(self, data, body, receiver)
        connection = self._pool.take()
        if connection is None:
            self.connect(request)
        else:
            request.send(connection)
        return request

    def connect(self, request: "_Request") -> None:
        """Send a request over a new connection."""
        connecting: Deferred[Any] = self._endpoint.connect(self._factory)
        request.connecting = connecting
        connecting.addCallbacks(request.send, request.fail)

    def retry(self, request: "_Request") -> None:
        """Send a request once more."""
        self._metrics.php_retries += 1
        self.connect(request)


class _Request:
    """A request on its way.

    :ivar connecting: fires with the connection, where a new one is made.
    """

    __slots__ = ("_agent", "_body", "_connection", "_data", "_receiver", "connecting")

    def __init__(
        self, agent: HttpAgent, data: bytes, body: RequestBody | None, receiver: ResponseReceiver
    ) -> None:
        self._agent = agent
        self._data = data
        self._body = body
        # None once it has the outcome, so that there is no reference cycle.
        self._receiver: ResponseReceiver | None = receiver
        self._connection: HttpConnection | None = None
        self.connecting: Deferred[Any] | None = None

    def send(self, connection: HttpConnection) -> None:
        """Send it over this connection."""
        self.connecting = None
        self._connection = connection
        if self._body is not None:
            self._body.is_sent = True
        connection.send(self._data, self)

    def cancel(self) -> None:
        """See :class:`phpgw.backend.receiver.Cancellable`."""
        if self.connecting is not None:
            self.connecting.cancel()
        elif self._connection is not None:
            self._connection.abort()
            self.fail(Failure(RequestAborted()))

    def respond(self, response: HttpResponse) -> None:
        """See :class:`phpgw.backend.http.connection.Request`."""
        self._connection = None
        receiver, self._receiver = self._receiver, None
        assert receiver is not None
        receiver.responded(response)

    def fail(self, reason: Failure) -> None:
        """See :class:`phpgw.backend.http.connection.Request`."""
        self.connecting = self._connection = None
        if reason.check(StaleConnection):
            self._agent.retry(self)
            return
        receiver, self._receiver = self._receiver, None
        assert receiver is not None
        receiver.unanswered(reason)


class _DeferredResponse:
    """The receiver of a response that fires a Deferred.

    :ivar request: the request, which is cancelled with the Deferred.
    """

    request: Cancellable

    def __init__(self) -> None:
        self.responding: Deferred[IResponse] = Deferred(lambda _: self.request.cancel())

    def responded(self, response: HttpResponse) -> None:
        """See :class:`ResponseReceiver`."""
        self.responding.callback(response)

    def unanswered(self, reason: Failure) -> None:
        """See :class:`ResponseReceiver`."""
        self.responding.errback(reason)


class RequestAborted(Exception):
    """A request was cancelled that had been sent."""


@attrs.define(eq=False)
class _HttpConnectionFactory(Factory):
    noisy = False
    _pool: HttpPool

    def buildProtocol(self, addr: object) -> HttpConnection:
        return HttpConnection(self._pool)


def _endpoint(reactor: Any, uri: URI) -> IStreamClientEndpoint:
    """Make what connects to a URL's host, whatever its name is.

    Twisted's own endpoint takes it for an international name, and refuses ``my_php``.
    """
    endpoint = HostEndpoint(reactor, uri.host.decode("ascii"), uri.port)
    if uri.scheme != b"https":
        return endpoint
    policy = BrowserLikePolicyForHTTPS()
    return wrapClientTLS(policy.creatorForNetloc(uri.host, uri.port), endpoint)
