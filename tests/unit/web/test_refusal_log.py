"""Tests for :mod:`phpgw.web.refusal_log`, with the requests that are refused."""

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.logger import LogEvent, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from phpgw.log_limit import line_limit
from phpgw.web.front_page import FrontPageResource
from phpgw.web.refusal_log import log_refusal
from phpgw.web.site import GatewaySite
from tests.support.in_memory_browser import InMemoryBrowser, request

_PEER = IPv4Address("TCP", "192.0.2.1", 5000)


class RefusalLogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        root = FrontPageResource(("/ws",), "/ws", Resource(), self.clock.seconds)
        self.site = GatewaySite(root, 1000, self.clock)

    def events(self, data: bytes) -> list[LogEvent]:
        """Return the events of the log of a connection that sends this."""
        with capturedLogs() as events:
            browser = InMemoryBrowser(self.site)
            browser.send(data)
            browser.hang_up()
        return [each for each in events if each["log_namespace"].startswith("phpgw")]

    def test_refusals(self) -> None:
        """Each refused request has a line with the peer and why, and none has its query."""
        for data, status, reason in (
            (
                b"GET /nothing?secret HTTP/1.1\r\nHost: x\r\n\r\n",
                404,
                "there is nothing at /nothing",
            ),
            (b"HEAD /a/b HTTP/1.1\r\nHost: x\r\n\r\n", 404, "there is nothing at /a/b"),
            (b"GET / HTTP/1.1\r\n\r\n", 400, "Bad Request: there has to be one Host header"),
            (b"\x16\x03\x01\r\n\r\n", 400, "This is no proper HTTP request."),
            (b"GET /" + b"a" * 20_000, 414, "The URL is too long."),
        ):
            [event] = self.events(data)
            self.assertEqual(
                f"Refused a request from 192.0.2.1:5000: {status}, {reason}", formatEvent(event)
            )
            self.assertEqual((status, reason), (event["status"], event["reason"]))
            self.assertNotIn("secret", repr(event))

    def test_handshake_elsewhere(self) -> None:
        """A handshake at another path has one line, which says where the WebSocket is."""
        [event] = self.events(request(path="/wss"))
        self.assertIn("'/wss'; there is one at /ws", formatEvent(event))
        self.assertEqual(("192.0.2.1:5000", "/wss"), (event["peer"], event["path"]))

    def test_not_refused(self) -> None:
        self.assertEqual([], self.events(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"))

    def test_flood(self) -> None:
        """Beyond the limit of lines, they are counted."""
        line_limit.start(self.clock)
        self.addCleanup(line_limit.stop)
        with capturedLogs() as events:
            for _ in range(1000):
                log_refusal(_PEER, 404, "there is nothing at /")
        self.assertEqual(50, len(events))
        with capturedLogs() as events:
            self.clock.advance(10)
        self.assertIn("950 more lines like this", formatEvent(events[-1]))
