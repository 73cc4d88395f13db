"""Tests for :mod:`phpgw.web.health`."""

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from phpgw.web.health import HealthResource, ReadinessResource
from tests.support.fakes import LOCAL, REMOTE, request


class HealthTests(SynchronousTestCase):
    def test_anybody(self) -> None:
        """A load balancer on another machine may ask."""
        for peer in (LOCAL, REMOTE):
            answer = request(HealthResource(), "GET", "/", peer=peer)
            self.assertEqual((200, b"ok\n"), (answer.status, answer.body))

    def test_head(self) -> None:
        """These frequent requests are not logged."""
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


class ReadyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.first: str | None = None
        self.second: str | None = None
        self.resource = ReadinessResource((lambda: self.first, lambda: self.second))

    def get(self) -> tuple[int, bytes]:
        answer = request(self.resource, "GET", "/")
        self.assertEqual(answer.headers["Content-Type"], "text/plain; charset=utf-8")
        return answer.status, answer.body

    def test_ready(self) -> None:
        self.assertEqual(self.get(), (200, b"ready\n"))

    def test_degraded(self) -> None:
        """A gateway of which a part works is ready, and says what does not."""
        self.resource = ReadinessResource((lambda: self.first,), lambda: "Redis is away")
        self.assertEqual(self.get(), (200, b"ready, degraded: Redis is away\n"))
        self.first = "it stops"
        self.assertEqual(self.get(), (503, b"it stops\nRedis is away\n"))

    def test_what_is_in_the_way(self) -> None:
        self.second = "PHP does not answer"
        self.assertEqual(self.get(), (503, b"PHP does not answer\n"))
        self.first = "it stops"
        self.assertEqual(self.get(), (503, b"it stops\nPHP does not answer\n"))
        self.first = self.second = None
        self.assertEqual(self.get(), (200, b"ready\n"))

    def test_anybody(self) -> None:
        """A load balancer on another machine may ask."""
        for peer in (LOCAL, REMOTE):
            self.assertEqual(request(self.resource, "GET", "/", peer=peer).status, 200)

    def test_head(self) -> None:
        self.first = "it stops"
        answer = request(self.resource, "HEAD", "/")
        self.assertEqual((answer.status, answer.body), (503, b""))
        self.assertEqual(answer.headers["Content-Length"], "9")

    def test_other_methods(self) -> None:
        answer = request(self.resource, "POST", "/")
        self.assertEqual((answer.status, answer.headers["Allow"]), (405, "GET, HEAD"))
