"""Tests for :mod:`phpgw.prometheus.exposition`."""

from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text
from twisted.trial.unittest import SynchronousTestCase

from phpgw.metrics import Metrics
from phpgw.prometheus.collector import GatewayCollector
from phpgw.prometheus.exposition import expose

# As Prometheus 2.42 sends it.
_OF_PROMETHEUS = (
    b"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    b"text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)


class ExpositionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.collector = GatewayCollector(Metrics(messages_sent=5), ())

    def test_text(self) -> None:
        """People and old programs get the text format."""
        for accept in (b"", b"*/*", b"text/html,application/xhtml+xml", b"\xff;version=x"):
            kind, text = expose(self.collector, accept)
            self.assertEqual("text/plain; version=0.0.4; charset=utf-8", kind)
            self.assertIn(b'phpgw_messages_total{direction="sent"} 5.0\n', text)

    def test_openmetrics(self) -> None:
        """Prometheus gets OpenMetrics, which it asks for, and which says where it ends."""
        kind, text = expose(self.collector, _OF_PROMETHEUS)
        self.assertTrue(kind.startswith("application/openmetrics-text; version="), kind)
        self.assertTrue(text.endswith(b"\n# EOF\n"))

    def test_same_in_both(self) -> None:
        """Both formats are proper, and have the same numbers."""

        def samples(families: object) -> set[object]:
            return {
                (sample.name, *sorted(sample.labels.items()), sample.value)
                for family in families  # type: ignore[attr-defined]
                for sample in family.samples
                if not sample.name.startswith("process_")
            }

        text = expose(self.collector, b"").text.decode()
        openmetrics = expose(self.collector, _OF_PROMETHEUS).text.decode()
        self.assertEqual(samples(read_text(text)), samples(read_openmetrics(openmetrics)))
