"""The dashboard, the alerts and the documentation name the metrics that there are."""

import json
import re

from twisted.trial.unittest import SynchronousTestCase

from tests.support.metric_names import exported_metrics, named_metrics
from tests.support.real.gateway import ROOT

_ALERTS = (ROOT / "deploy/prometheus/alerts.yml").read_text()
_DASHBOARD = json.loads((ROOT / "deploy/grafana/dashboard.json").read_text())
_PAGE = (ROOT / "docs/metrics.rst").read_text()
# The labels that Prometheus adds, and those that queries make.
_OTHER_LABELS = {"job", "instance", "le"}


def queries() -> list[str]:
    """Return the queries of all panels."""
    return [target["expr"] for panel in _DASHBOARD["panels"] for target in panel["targets"]]


def rows() -> list[tuple[str, str]]:
    """Return the metrics that have a row on the page, each with the text behind its name."""
    return re.findall(r"^``((?:phpgw|process)_\w+)`` {2,}(.*(?:\n {40,}.*)*)", _PAGE, re.MULTILINE)


class MetricNameTests(SynchronousTestCase):
    def test_dashboard(self) -> None:
        for query in queries():
            names = named_metrics(query)
            self.assertTrue(names, query)
            self.assertLessEqual(names, {*exported_metrics()}, query)

    def test_alerts(self) -> None:
        self.assertLessEqual(named_metrics(_ALERTS), {*exported_metrics()})

    def test_documentation(self) -> None:
        """The page has every metric, and no other."""
        names = [name for name, _ in rows()]
        self.assertEqual(len({*names}), len(names))
        self.assertEqual({*exported_metrics()}, {*names})
        self.assertEqual({*names}, named_metrics(_PAGE))

    def test_labels(self) -> None:
        """The page has the labels of every metric that has a sample in an idle gateway."""
        for name, row in rows():
            samples = exported_metrics()[name].samples
            for label in {label for sample in samples for label in sample.labels} - {"le"}:
                self.assertIn(f"``{label}``", row, name)

    def test_labels_in_queries(self) -> None:
        """No query asks for a label that no metric has."""
        known = {
            label
            for family in exported_metrics().values()
            for sample in family.samples
            for label in sample.labels
        } | {*_OTHER_LABELS, "timer", "endpoint"}
        for query in (*queries(), _ALERTS):
            for group in re.findall(r"by \(([^)]*)\)", query):
                self.assertLessEqual({*re.split(r", *", group)}, known, query)
            for label in re.findall(r"[{,](\w+)(?:=|!=|=~|!~)\"", query):
                self.assertIn(label, known, query)

    def test_names(self) -> None:
        """They follow the conventions: a total is called one, and nothing else is."""
        for name, family in exported_metrics().items():
            self.assertEqual(family.type == "counter", name.endswith("_total"), name)
            self.assertTrue(family.documentation.endswith("."), name)
            self.assertTrue(name.startswith(("phpgw_", "process_")), name)

    def test_twelve_panels(self) -> None:
        """Each has a title and a description of its own, and all legends in a panel differ."""
        panels = _DASHBOARD["panels"]
        self.assertEqual(12, len({panel["title"] for panel in panels}))
        for panel in panels:
            self.assertTrue(panel["description"].endswith("."), panel["title"])
            legends = [target["legendFormat"] for target in panel["targets"]]
            self.assertEqual(len({*legends}), len(legends), panel["title"])

    def test_alerts_are_documented(self) -> None:
        names = re.findall(r"- alert: (\w+)", _ALERTS)
        self.assertEqual(names, re.findall(r"^``(Phpgw\w+)``", _PAGE, re.MULTILINE))
        self.assertEqual(13, len(names))
