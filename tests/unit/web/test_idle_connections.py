"""Tests for :mod:`phpgw.web.idle_connections`."""

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from phpgw.metrics import Metrics
from phpgw.web.idle_connections import IdleConnections
from phpgw.web.site import GatewaySite
from tests.support.in_memory_browser import TEXT, InMemoryBrowser, frame
from tests.support.websocket_site import WebSocketSiteTestCase

GET = b"GET /%b HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Slow(Resource):
    """Responds when the test says so."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Request] = []

    def render_GET(self, request: Request) -> int:
        self.requests.append(request)
        return NOT_DONE_YET


class IdleConnectionsTests(SynchronousTestCase):
    """A limit of three connections."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.metrics = Metrics()
        self.slow = Slow()
        root = Resource()
        root.putChild(b"slow", self.slow)
        idle_connections = IdleConnections(self.clock, 3, self.metrics)
        self.site = GatewaySite(root, 1000, self.clock, idle_connections=idle_connections)

    def connect(self) -> InMemoryBrowser:
        return InMemoryBrowser(self.site)

    def assert_cut(self, *cut: bool, among: list[InMemoryBrowser]) -> None:
        self.assertEqual(list(cut), [browser.is_cut for browser in among])

    def test_room(self) -> None:
        browsers = [self.connect() for _ in range(3)]
        self.assert_cut(False, False, False, among=browsers)
        self.assertEqual(3, self.metrics.http_connections_now)

    def test_one_more(self) -> None:
        """The connection that has waited for longest is dropped, whatever it has sent."""
        browsers = [self.connect() for _ in range(3)]
        browsers[0].send(GET[:10])
        browsers.append(self.connect())
        self.assert_cut(True, False, False, False, among=browsers)
        self.assertEqual(1, self.metrics.http_connections_dropped)
        self.assertEqual(3, self.metrics.http_connections_now)

    def test_one_that_has_left(self) -> None:
        browsers = [self.connect() for _ in range(3)]
        browsers[1].hang_up()
        browsers.append(self.connect())
        self.assert_cut(False, False, False, False, among=browsers)

    def test_waiting_anew(self) -> None:
        """After a response, it is the newest idle connection."""
        browsers = [self.connect() for _ in range(3)]
        browsers[0].send(GET % b"nothing")
        browsers.append(self.connect())
        self.assert_cut(False, True, False, False, among=browsers)

    def test_waiting_for_an_answer(self) -> None:
        """A connection that waits for a response is not idle."""
        browsers = [self.connect() for _ in range(3)]
        browsers[0].send(GET % b"slow")
        self.assertEqual(2, self.metrics.http_connections_now)
        browsers += [self.connect() for _ in range(3)]
        self.assert_cut(False, True, True, False, False, False, among=browsers)
        # And has its place after that.
        self.slow.requests.pop().finish()
        self.assert_cut(False, True, True, True, False, False, among=browsers)

    def test_next_request_is_there_already(self) -> None:
        browser = self.connect()
        browser.send(GET % b"slow" + GET % b"slow")
        self.slow.requests.pop().finish()
        self.clock.advance(0)
        self.assertEqual(0, self.metrics.http_connections_now)
        self.slow.requests.pop().finish()
        self.assertEqual(1, self.metrics.http_connections_now)
        browser.hang_up()
        self.assertEqual(0, self.metrics.http_connections_now)

    def test_gone_before_the_answer(self) -> None:
        browser = self.connect()
        browser.send(GET % b"slow")
        gone: Deferred[Any] = self.slow.requests.pop().notifyFinish()
        gone.addErrback(lambda _: None)
        browser.hang_up()
        self.assertEqual(0, self.metrics.http_connections_now)

    def test_does_not_read_the_last_answer(self) -> None:
        """It does not count as active."""
        browsers = [self.connect()]
        browsers[0].send((GET % b"nothing").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        self.assertEqual(1, self.metrics.http_connections_now)

    def test_log(self) -> None:
        """The number of log lines is limited."""
        with capturedLogs() as events:
            for _ in range(50):
                self.connect()
                self.clock.advance(0.5)
        lines = [str(formatEvent(event)) for event in events if "count" in event]
        self.assertEqual(["1", "20", "20"], [line.split()[1] for line in lines])


class WebSocketTests(WebSocketSiteTestCase):
    def test_websockets_are_elsewhere(self) -> None:
        """WebSockets do not count, and are not dropped."""
        idle_connections = IdleConnections(self.clock, 1, self.metrics)
        self.site.idle_connections = idle_connections
        browsers = [
            self.connect(IPv4Address("TCP", "192.0.2.1", number)) for number in range(1, 11)
        ]
        self.assertEqual(0, self.metrics.http_connections_now)
        for _ in range(3):
            InMemoryBrowser(self.site)
        for browser in browsers:
            browser.send(frame(TEXT, b"x"))
            self.assertFalse(browser.is_cut)
        self.assertEqual([b"x"] * 10, self.relay.messages())
        self.assertEqual(1, self.metrics.http_connections_now)
