"""Tests for :mod:`phpgw.api.metrics`."""

from collections.abc import Mapping

from twisted.internet.interfaces import IAddress
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from phpgw.api.access import Access
from phpgw.api.metrics import MetricsResource
from phpgw.metrics import Metrics
from phpgw.prometheus.figures import OwnFigures
from tests.support.fakes import LOCAL, REMOTE, Answer, request


class MetricsResourceTests(SynchronousTestCase):
    def get(
        self,
        token: bytes | None = None,
        peer: IAddress = LOCAL,
        method: str = "GET",
        query: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        root = Resource()
        figures = OwnFigures(Metrics(clients_now=3), ())
        root.putChild(b"metrics", MetricsResource(Access(token), figures))
        return request(root, method, f"/metrics{query}", headers=(headers or {}).items(), peer=peer)

    def test_text(self) -> None:
        answer = self.get()
        self.assertEqual(200, answer.status)
        self.assertEqual("text/plain; version=0.0.4; charset=utf-8", answer.headers["Content-Type"])
        self.assertIn(b"\nphpgw_connections 3.0\n", answer.body)

    def test_openmetrics(self) -> None:
        answer = self.get(headers={"Accept": "application/openmetrics-text;version=1.0.0"})
        self.assertIn("application/openmetrics-text", answer.headers["Content-Type"])
        self.assertTrue(answer.body.endswith(b"# EOF\n"))
        self.assertEqual("Accept", answer.headers["Vary"])

    def test_head(self) -> None:
        answer = self.get(method="HEAD")
        self.assertEqual((200, b""), (answer.status, answer.body))

    def test_stranger(self) -> None:
        """They are for those who may push."""
        self.assertEqual(403, self.get(peer=REMOTE).status)
        self.assertEqual(403, self.get(headers={"Via": "1.1 proxy"}).status)

    def test_token(self) -> None:
        """Prometheus has a setting for it: authorization."""
        self.assertEqual(401, self.get(b"s3cret", REMOTE).status)
        answer = self.get(b"s3cret", REMOTE, headers={"Authorization": "Bearer s3cret"})
        self.assertEqual(200, answer.status)

    def test_prometheus_of_this_machine(self) -> None:
        """What it sends with a scrape is no sign of a proxy."""
        sent = {
            "User-Agent": "Prometheus/2.42.0",
            "Accept": "application/openmetrics-text;version=1.0.0,*/*;q=0.1",
            "Accept-Encoding": "gzip",
            "X-Prometheus-Scrape-Timeout-Seconds": "10",
        }
        answer = self.get(headers=sent)
        self.assertEqual(200, answer.status)

    def test_parameters(self) -> None:
        self.assertEqual(400, self.get(query="?name=x").status)
