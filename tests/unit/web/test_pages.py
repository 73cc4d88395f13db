"""What the gateway says about itself."""

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from phpgw.web.front_page import IndexResource
from phpgw.web.health import HealthResource
from tests.support.fakes import LOCAL, REMOTE, request


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
        """Whoever is lost is told what there is."""
        for target in ("/nothing", "/nothing/here", "//", "/v1", "/v1/", "/v1/x", "/%2e%2e/ws"):
            for method in ("GET", "POST", "DELETE"):
                answer = request(self.root, method, target)
                self.assertEqual(404, answer.status, f"{method} {target}")
                self.assertIn(b"\n/ws  WebSocket, for browsers\n", answer.body)

    def test_nothing_is_repeated(self) -> None:
        """Nothing of the address gets into the page."""
        self.assertNotIn(b"script", request(self.root, "GET", "/<script>x</script>").body)

    def test_head(self) -> None:
        answer = request(self.root, "HEAD", "/")
        self.assertEqual((200, b""), (answer.status, answer.body))


class HealthTests(SynchronousTestCase):
    def test_anybody(self) -> None:
        """A load balancer on another machine may ask."""
        for peer in (LOCAL, REMOTE):
            answer = request(HealthResource(), "GET", "/", peer=peer)
            self.assertEqual((200, b"ok\n"), (answer.status, answer.body))

    def test_head(self) -> None:
        """Asked every few seconds, and not a word of it in the log."""
        with capturedLogs() as events:
            answer = request(HealthResource(), "HEAD", "/")
        self.assertEqual(
            (200, b"", "3"), (answer.status, answer.body, answer.headers["Content-Length"])
        )
        self.assertNotIn("Warning", "".join(formatEvent(event) for event in events))

    def test_other_methods(self) -> None:
        for method in ("POST", "DELETE", "BREW"):
            answer = request(HealthResource(), method, "/")
            self.assertEqual((405, "GET, HEAD"), (answer.status, answer.headers["Allow"]))
            self.assertEqual(b"this can be asked with GET, HEAD\n", answer.body)
