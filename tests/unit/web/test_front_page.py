"""Tests for :mod:`phpgw.web.front_page`."""

import re
from base64 import b64encode
from hashlib import sha256

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from phpgw.web.front_page import FrontPageResource, IndexResource
from phpgw.web.health import HealthResource
from tests.support.fakes import Answer, request

_BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
_UPGRADE = {"Sec-WebSocket-Key": "x"}


class SignpostTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.root = IndexResource(200, ("/ws  WebSocket, for browsers",))
        self.root.putChild(b"healthz", HealthResource())
        self.root.putChild(b"v1", IndexResource(404, self.root.paths))

    def test_front_page(self) -> None:
        for target in ("/", "/?x=1"):
            answer = request(self.root, "GET", target)
            self.assertEqual(200, answer.status)
            self.assertEqual("text/plain; charset=utf-8", answer.headers["Content-Type"])
            self.assertIn(b"phpgw", answer.body)
            self.assertIn(b"\n/ws  WebSocket, for browsers\n", answer.body)

    def test_elsewhere(self) -> None:
        """An unknown path gets the list of paths."""
        for target in ("/nothing", "/nothing/here", "//", "/v1", "/v1/", "/v1/x", "/%2e%2e/ws"):
            for method in ("GET", "POST", "DELETE"):
                answer = request(self.root, method, target)
                self.assertEqual(404, answer.status, f"{method} {target}")
                self.assertIn(b"\n/ws  WebSocket, for browsers\n", answer.body)

    def test_nothing_is_repeated(self) -> None:
        """The requested path is not in the page."""
        self.assertNotIn(b"script", request(self.root, "GET", "/<script>x</script>").body)

    def test_head(self) -> None:
        answer = request(self.root, "HEAD", "/")
        self.assertEqual((200, b""), (answer.status, answer.body))


class FrontPageTestCase(SynchronousTestCase):
    ws_path = "/ws"

    def setUp(self) -> None:
        self.clock = Clock()
        lines = ("/ws  WebSocket, for browsers",)
        self.root = FrontPageResource(lines, self.ws_path, HealthResource(), self.clock.seconds)
        self.root.putChild(b"healthz", HealthResource())

    def get(self, target: str = "/", method: str = "GET", **headers: str) -> Answer:
        return request(self.root, method, target, headers=headers.items())


class TextTests(FrontPageTestCase):
    def test_front_page(self) -> None:
        for target in ("/", "/?x=1"):
            answer = self.get(target)
            self.assertEqual(200, answer.status)
            self.assertEqual("text/plain; charset=utf-8", answer.headers["Content-Type"])
            self.assertIn(b"phpgw", answer.body)
            self.assertIn(b"\n/ws  WebSocket, for browsers\n", answer.body)

    def test_elsewhere(self) -> None:
        """An unknown path gets the list of paths."""
        for target in ("/nothing", "/nothing/here", "//", "/v1", "/v1/x", "/%2e%2e/ws"):
            for method in ("GET", "POST", "DELETE"):
                answer = self.get(target, method, **_BROWSER)
                self.assertEqual(404, answer.status, f"{method} {target}")
                self.assertIn(b"\n/ws  WebSocket, for browsers\n", answer.body)

    def test_nothing_is_repeated(self) -> None:
        """The requested path is not in the page."""
        self.assertNotIn(b"script", self.get("/<script>x</script>", **_BROWSER).body)

    def test_head(self) -> None:
        answer = self.get(method="HEAD")
        self.assertEqual((200, b""), (answer.status, answer.body))


class PageTests(FrontPageTestCase):
    ws_path = "/a&b"

    def test_for_a_browser(self) -> None:
        answer = self.get(**_BROWSER)
        self.assertEqual(
            (200, "text/html; charset=utf-8"), (answer.status, answer.headers["Content-Type"])
        )
        self.assertEqual("Accept", answer.headers["Vary"])
        self.assertIn(b'<body data-path="/a&amp;b">', answer.body)
        self.assertIn(b"/ws  WebSocket, for browsers", answer.body)
        length = self.get(method="HEAD", **_BROWSER).headers["Content-Length"]
        self.assertEqual(length, str(len(answer.body)))

    def test_runs_nothing_but_its_own(self) -> None:
        answer = self.get(**_BROWSER)
        policy = answer.headers["Content-Security-Policy"]
        for kind in ("script", "style"):
            [content] = re.findall(f"<{kind}>(.*?)</{kind}>".encode(), answer.body, re.DOTALL)
            digest = b64encode(sha256(content).digest()).decode()
            self.assertIn(f"{kind}-src 'sha256-{digest}';", policy)
        self.assertIn("default-src 'none'", policy)
        self.assertIn("frame-ancestors 'none'", policy)
        self.assertEqual("DENY", answer.headers["X-Frame-Options"])


class LostTests(FrontPageTestCase):
    def test_a_line_that_says_what_is_there(self) -> None:
        with capturedLogs() as events:
            self.assertEqual(404, self.get("/socket?token=secret", **_UPGRADE).status)
        [event] = events
        line = formatEvent(event)
        assert line is not None
        self.assertIn("WebSocket at '/socket'", line)
        self.assertIn("there is one at /ws", line)
        self.assertNotIn("secret", line)

    def test_lines_are_limited(self) -> None:
        with capturedLogs() as events:
            for number in range(1000):
                self.get(f"/{number}", **_UPGRADE)
            self.clock.advance(60)
            self.get("/" + "x" * 1000, **_UPGRADE)
        self.assertEqual(len(events), 2)
        self.assertIn("999 others", events[1]["others"])
        self.assertLess(len(formatEvent(events[1]) or ""), 400)

    def test_others(self) -> None:
        """What is no handshake has a line of its own kind, and none if there is something."""
        with capturedLogs() as events:
            self.get("/nothing")
            self.get("/")
            self.get("/healthz")
        self.assertEqual(["/nothing"], [each["path"] for each in events])
