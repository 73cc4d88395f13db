"""Tests for :mod:`phpgw.metrics`: an exporter can be written from the declarations alone."""

from collections import defaultdict

from twisted.trial.unittest import SynchronousTestCase

from phpgw.api.openapi import openapi_document
from phpgw.metrics import MetricDescription, MetricFamily, Metrics


def prometheus_page(metrics: Metrics) -> str:
    """Return the metrics in the text format of Prometheus, which knows nothing of any of them."""
    families: dict[MetricFamily, list[MetricDescription]] = defaultdict(list)
    for description in Metrics.describe():
        families[description.family].append(description)
    values = metrics.as_dict()
    lines = []
    for family, members in families.items():
        kind = members[0].kind
        name = (
            f"phpgw_{family.name}_total"
            if kind == "counter"
            else f"phpgw_{family.name}".removesuffix("_now")
        )
        lines += [f"# HELP {name} {family.help}", f"# TYPE {name} {kind}"]
        for member in members:
            labels = ",".join(f'{key}="{value}"' for key, value in member.labels.items())
            lines.append(f"{name}{{{labels}}} {values[member.name]}".replace("{}", ""))
    return "\n".join(lines) + "\n"


class DescriptionTests(SynchronousTestCase):
    def test_every_number(self) -> None:
        """It is described as far as any exporter needs it."""
        descriptions = [*Metrics.describe()]
        self.assertEqual([*Metrics().as_dict()], [each.name for each in descriptions])
        for each in descriptions:
            self.assertTrue(each.help.endswith(".") and each.unit, each)
            self.assertEqual(each.kind == "gauge", each.name.endswith("_now"), each)

    def test_no_help_twice(self) -> None:
        texts = [each.help for each in Metrics.describe()]
        self.assertEqual(len(texts), len({*texts}))

    def test_families(self) -> None:
        """Members of one are of one kind, count the same, and differ in their labels."""
        families: dict[MetricFamily, list[MetricDescription]] = defaultdict(list)
        for each in Metrics.describe():
            families[each.family].append(each)
        for family, members in families.items():
            self.assertEqual(1, len({(each.kind, each.unit) for each in members}), family)
            self.assertEqual(1, len({(*each.labels,) for each in members}), family)
            self.assertEqual(len(members), len({(*each.labels.values(),) for each in members}))

    def test_prometheus_page(self) -> None:
        page = prometheus_page(Metrics(clients_now=3, messages_sent=5, idle_closed=2))
        for line in (
            "# TYPE phpgw_clients gauge",
            "phpgw_clients 3",
            "# HELP phpgw_messages_sent_total Messages that were sent to clients.",
            "# TYPE phpgw_messages_sent_total counter",
            "phpgw_messages_sent_total 5",
            "# TYPE phpgw_connections_closed_total counter",
            'phpgw_connections_closed_total{reason="idle"} 2',
            'phpgw_connections_closed_total{reason="age"} 0',
        ):
            self.assertIn(f"\n{line}\n", f"\n{page}")
        samples = [line for line in page.splitlines() if not line.startswith("#")]
        self.assertEqual(len(Metrics().as_dict()), len(samples))

    def test_api_description(self) -> None:
        """The schema of ``/stats`` has each number, with the same text."""
        schema = openapi_document()["components"]["schemas"]["Stats"]
        texts = {name: each["description"] for name, each in schema["properties"].items()}
        self.assertEqual({each.name: each.help for each in Metrics.describe()}, texts)
        self.assertEqual([*texts], schema["required"])
