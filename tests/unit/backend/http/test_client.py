"""Tests for :mod:`phpgw.backend.http.client`: it does what treq does in its own way."""

from random import Random
from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IAgent
from zope.interface import implementer

from phpgw.backend.http.agent import HttpAgent, ResponseReceiver
from phpgw.backend.http.client import PreparedClient
from phpgw.backend.http.prepared import PreparedHeaders, RequestBody, complete_url
from phpgw.backend.http.response import HttpResponse, ShortResponse
from phpgw.backend.receiver import Cancellable
from phpgw.backend.reply import Head

_URLS = (
    "http://127.0.0.1:8088/websocket.php",
    "http://[::1]/ws.php?a=b&x[]=%C3%A9",
    "https://my_php/?a=%2F%41;b//../c",
    "http://xn--caf-dma.example:80/a%20b/?",
)
_LINES = (b"Host: x\r\n", b"Cookie: a=1\r\n", b"Content-Type: text/plain\r\n", b"X: y\r\n")
_HEADERS = ((b"content-type", b"text/html"), (b"set-cookie", b"a=1; path=/"), (b"x", b""))


@implementer(IAgent)
class Agent:
    """An agent that notes what is requested; the test responds."""

    def __init__(self) -> None:
        self.requests: list[tuple[Any, ...]] = []
        self.receivers: list[ResponseReceiver] = []
        self.cancelled = 0

    def request(
        self, method: bytes, uri: bytes, headers: Any = None, bodyProducer: Any = None
    ) -> Deferred[Any]:
        receiver = Receiver(self)
        self.send(method, uri, headers, bodyProducer, receiver)
        return receiver.outcome

    def send(
        self, method: bytes, uri: bytes, headers: Any, body: Any, receiver: ResponseReceiver
    ) -> Cancellable:
        self.requests.append((method, uri, headers.lines, body))
        self.receivers.append(receiver)
        return self

    def cancel(self) -> None:
        self.cancelled += 1


class Receiver:
    """Receives a response, or why there is none."""

    def __init__(self, agent: Agent) -> None:
        self.outcome: Deferred[Any] = Deferred(lambda _: agent.cancel())

    def responded(self, response: HttpResponse) -> None:
        self.outcome.callback(response)

    def unanswered(self, reason: Failure) -> None:
        self.outcome.errback(reason)


class PreparedClientTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.agent = Agent()
        self.client = PreparedClient(cast(HttpAgent, self.agent))

    def post_twice(self, url: str, lines: bytes, data: bytes) -> tuple[Deferred[Any], ...]:
        """Make one request in treq's own way, and one on the fast path."""
        complete = complete_url(url)
        headers, body = PreparedHeaders(lines), RequestBody(data)
        reactor: Any = MemoryReactorClock()
        usual = self.client.post(
            complete,
            data=body,
            headers=headers,
            allow_redirects=False,
            unbuffered=True,
            reactor=reactor,
        )
        receiver = Receiver(self.agent)
        encoded = complete.to_text().encode("ascii")
        self.prepared = self.client.post_prepared(encoded, headers, body, receiver)
        return usual, receiver.outcome

    def test_random_requests(self) -> None:
        """The agent is asked for the same, and the response is the same."""
        random = Random(1)
        for _ in range(300):
            self.setUp()
            lines = b"".join(random.sample(_LINES, random.randrange(5)))
            both = self.post_twice(random.choice(_URLS), lines, random.randbytes(9))
            usual, prepared = self.agent.requests
            self.assertEqual(usual, prepared)
            head = Head(
                random.choice((200, 204, 301, 302, 303, 307, 401, 404, 500)),
                tuple(random.sample(_HEADERS, random.randrange(4))),
            )
            source: Any = None
            response = random.choice(
                (HttpResponse(source, head, random.choice((None, 0, 5))), ShortResponse(head, b"x"))
            )
            for receiver in self.agent.receivers:
                receiver.responded(response)
            usual, prepared = map(self.successResultOf, both)
            self.assertIs(response, usual.original)
            self.assertIs(response, prepared)
            self.assertEqual([], [*usual.cookies()])
            self.assertEqual(2, len(self.agent.requests))

    def test_failure(self) -> None:
        both = self.post_twice(_URLS[0], b"", b"x")
        for receiver, posted in zip(self.agent.receivers, both, strict=True):
            receiver.unanswered(Failure(ConnectionLost()))
            self.failureResultOf(posted, ConnectionLost)

    def test_cancelled(self) -> None:
        usual, _ = self.post_twice(_URLS[0], b"", b"x")
        usual.cancel()
        self.failureResultOf(usual, CancelledError)
        self.prepared.cancel()
        self.assertEqual(2, self.agent.cancelled)
