"""Tests for :mod:`phpgw.metrics`: the declarations have all that an exporter needs."""

from collections import defaultdict

from twisted.trial.unittest import SynchronousTestCase

from phpgw.api.openapi import openapi_document
from phpgw.metric_field import MetricDescription, MetricFamily
from phpgw.metrics import Metrics


class DescriptionTests(SynchronousTestCase):
    def test_every_number(self) -> None:
        """It is described as far as any exporter needs it."""
        descriptions = [*Metrics.describe()]
        self.assertEqual([*Metrics().as_dict()], [each.name for each in descriptions])
        for each in descriptions:
            self.assertTrue(each.help.endswith(".") and each.unit, each)
            self.assertEqual(each.kind == "gauge", each.name.endswith(("_now", "_peak")), each)

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
            self.assertEqual(1, len({(*each.labels, each.by) for each in members}), family)
            self.assertEqual(len(members), len({(*each.labels.values(),) for each in members}))

    def test_sums(self) -> None:
        """Of what is counted by a label, ``/stats`` has the sum."""
        metrics = Metrics()
        metrics.commands_run["send"] += 2
        metrics.commands_run["join"] += 1
        metrics.timer_runs_skipped["a timer of the configuration"] += 4
        sums = metrics.as_dict()
        self.assertEqual((3, 4), (sums["commands_run"], sums["timer_runs_skipped"]))

    def test_api_description(self) -> None:
        """The schema of ``/stats`` has each number, with the same text."""
        schema = openapi_document()["components"]["schemas"]["Stats"]
        texts = {name: each["description"] for name, each in schema["properties"].items()}
        self.assertEqual({each.name: each.help for each in Metrics.describe()}, texts)
        self.assertEqual([*texts], schema["required"])
