"""Tests for :mod:`phpgw.prometheus.collector`."""

from prometheus_client import REGISTRY, generate_latest
from twisted.trial.unittest import SynchronousTestCase

from phpgw.metrics import Metrics
from phpgw.observable import Observable, observable_number
from phpgw.prometheus.collector import GatewayCollector


def page(*observables: Observable, metrics: Metrics | None = None) -> list[str]:
    """Return the lines of the text format."""
    collector = GatewayCollector(metrics or Metrics(), observables)
    return generate_latest(collector).decode().splitlines()


class CollectorTests(SynchronousTestCase):
    def test_counted(self) -> None:
        """A family has a line for each of its numbers; a total is called one."""
        metrics = Metrics(clients_now=3, messages_sent=5)
        metrics.connections_closed["idle"] += 2
        lines = page(metrics=metrics)
        for line in (
            "# HELP phpgw_connections Clients that are connected.",
            "# TYPE phpgw_connections gauge",
            "phpgw_connections 3.0",
            "# TYPE phpgw_messages_total counter",
            'phpgw_messages_total{direction="sent"} 5.0',
            'phpgw_connections_closed_total{reason="idle"} 2.0',
            'phpgw_connections_closed_total{reason="age"} 0.0',
        ):
            self.assertIn(line, lines)

    def test_every_number(self) -> None:
        """No number is left out, no family is there twice, and no line is."""
        lines = page()
        families = {each.family.name for each in Metrics.describe() if each.is_exported}
        families |= {
            "reactor_lag_seconds",
            "events",
            "event_wait_seconds",
            "php_seconds",
            "event_seconds",
        }
        names = [line.split()[2] for line in lines if line.startswith("# TYPE phpgw_")]
        self.assertEqual(
            families, {name.removeprefix("phpgw_").removesuffix("_total") for name in names}
        )
        self.assertEqual(len(families), len(names))
        samples = [line.split()[0] for line in lines if line.startswith("phpgw_")]
        self.assertEqual(len({*samples}), len(samples))

    def test_events(self) -> None:
        """Events are counted by type and outcome, and how long they took is in histograms."""
        metrics = Metrics()
        metrics.events["server"].count("replied", 0.0002, 0.02, 0.03)
        metrics.events["server"].count("refused", 20.0, None, 20.0)
        lines = page(metrics=metrics)
        for line in (
            'phpgw_events_total{outcome="replied",type="server"} 1.0',
            'phpgw_events_total{outcome="failed",type="server"} 0.0',
            'phpgw_events_total{outcome="withdrawn",type="timer"} 0.0',
            "# TYPE phpgw_event_wait_seconds histogram",
            'phpgw_event_wait_seconds_bucket{le="0.001",type="server"} 1.0',
            'phpgw_event_wait_seconds_bucket{le="10.0",type="server"} 1.0',
            'phpgw_event_wait_seconds_bucket{le="+Inf",type="server"} 2.0',
            'phpgw_event_wait_seconds_count{type="server"} 2.0',
            'phpgw_event_wait_seconds_sum{type="server"} 20.0002',
            'phpgw_php_seconds_count{type="server"} 1.0',
            'phpgw_php_seconds_bucket{le="0.025",type="server"} 1.0',
            'phpgw_php_seconds_bucket{le="0.01",type="server"} 0.0',
            'phpgw_event_seconds_sum{type="server"} 20.03',
        ):
            self.assertIn(line, lines)

    def test_now(self) -> None:
        """Each scrape shows the numbers as they are then."""
        metrics, numbers = Metrics(), [1.0]
        collector = GatewayCollector(
            metrics, [observable_number("groups", "Groups.", lambda: numbers[0])]
        )
        generate_latest(collector)
        metrics.clients_now, numbers[0] = 7, 8.0
        lines = generate_latest(collector).decode().splitlines()
        self.assertIn("phpgw_connections 7.0", lines)
        self.assertIn("phpgw_groups 8.0", lines)

    def test_observed(self) -> None:
        """An observable has a line for each of its numbers; what is not known has none."""
        known = Observable(
            name="restarts",
            help="Restarts.",
            kind="counter",
            labels=("of", "by"),
            observe=lambda: {("PHP", "us"): 4, ("PHP", 'a "name"'): 5},
        )
        unknown = Observable(name="children", help="Children.", observe=lambda: {})
        lines = page(known, unknown)
        self.assertIn("# TYPE phpgw_restarts_total counter", lines)
        self.assertIn('phpgw_restarts_total{by="us",of="PHP"} 4.0', lines)
        self.assertIn('phpgw_restarts_total{by="a \\"name\\"",of="PHP"} 5.0', lines)
        self.assertIn("# TYPE phpgw_children gauge", lines)
        self.assertFalse(any(line.startswith("phpgw_children") for line in lines))

    def test_process(self) -> None:
        """The process is described under the names that all programs use."""
        names = {line.split()[2] for line in page() if line.startswith("# TYPE process_")}
        self.assertLessEqual(
            {"process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"},
            names,
        )

    def test_nothing_is_registered(self) -> None:
        """Another user of the library in this process sees nothing of it."""
        before = generate_latest(REGISTRY).count(b"# TYPE")
        page(observable_number("groups", "Groups.", lambda: 1))
        self.assertEqual(before, generate_latest(REGISTRY).count(b"# TYPE"))
        self.assertNotIn(b"phpgw_", generate_latest(REGISTRY))
