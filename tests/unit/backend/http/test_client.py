"""Tests for :mod:`phpgw.backend.http.client`: it does what treq does in its own way."""

from random import Random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IAgent
from zope.interface import implementer

from phpgw.backend.http.client import PreparedClient
from phpgw.backend.http.prepared import PreparedHeaders, RequestBody, complete_url
from phpgw.backend.http.response import HttpResponse, ShortResponse
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
        self.responding: list[Deferred[Any]] = []

    def request(
        self, method: bytes, uri: bytes, headers: Any = None, bodyProducer: Any = None
    ) -> Deferred[Any]:
        self.requests.append((method, uri, headers.lines, bodyProducer))
        self.responding.append(Deferred())
        return self.responding[-1]


class PreparedClientTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.agent = Agent()
        self.client = PreparedClient(self.agent)

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
        return usual, self.client.post_prepared(complete.to_text().encode("ascii"), headers, body)

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
            for responding in self.agent.responding:
                responding.callback(response)
            usual, prepared = map(self.successResultOf, both)
            self.assertIs(response, usual.original)
            self.assertIs(response, prepared.original)
            self.assertIs(type(usual), type(prepared))
            self.assertEqual([], [*usual.cookies(), *prepared.cookies()])
            self.assertEqual(2, len(self.agent.requests))

    def test_failure(self) -> None:
        both = self.post_twice(_URLS[0], b"", b"x")
        for responding, posted in zip(self.agent.responding, both, strict=True):
            responding.errback(Failure(ConnectionLost()))
            self.failureResultOf(posted, ConnectionLost)

    def test_cancelled(self) -> None:
        for posted in self.post_twice(_URLS[0], b"", b"x"):
            posted.cancel()
            self.failureResultOf(posted, CancelledError)
        for responding in self.agent.responding:
            self.assertTrue(responding.called)
