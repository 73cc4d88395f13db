"""Tests for :mod:`phpgw.workers.shared_figures`."""

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.metrics import Metrics
from phpgw.prometheus.figures import OwnFigures
from phpgw.snapshot import Snapshot
from phpgw.workers.shared_figures import SharedFigures
from phpgw.workers.survey_link import SurveyLink


class SharedFiguresTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        own = OwnFigures(Metrics(clients_now=3, messages_sent=4), ())

        def tell(kind: str, **fields: Any) -> None:
            self.told.append((kind, fields))

        self.surveys = SurveyLink(Clock(), tell)
        self.figures = SharedFigures(own, self.surveys)

    def test_asked(self) -> None:
        """The parent's answer is what they get."""
        found, exposition = self.figures.snapshot(), self.figures.exposition(b"")
        asked = [("survey", {"about": "snapshot"}), ("survey", {"about": "metrics"})]
        self.assertEqual(asked, self.told)
        family = {
            "name": "phpgw_x",
            "help": "X.",
            "type": "gauge",
            "merge": "sum",
            "samples": [["phpgw_x", {"a": "b"}, 3]],
        }
        sums = Snapshot({"clients_now": 9}, {}, [], [])
        self.surveys.surveyed({"about": "snapshot", "value": sums.as_json()})
        self.surveys.surveyed({"about": "metrics", "value": [family]})
        self.assertEqual(sums, self.successResultOf(found))
        self.assertIn(b'phpgw_x{a="b"} 3.0', self.successResultOf(exposition).text)

    def test_pools(self) -> None:
        """The parent alone has pools."""
        pools = self.figures.pools()
        self.assertEqual([("survey", {"about": "pools"})], self.told)
        self.surveys.surveyed({"about": "pools", "value": [{"name": "db"}]})
        self.assertEqual([{"name": "db"}], self.successResultOf(pools))

    def test_report(self) -> None:
        """The parent is told the numbers of this process."""
        self.surveys.report("snapshot", 7)
        self.surveys.report("metrics", 8)
        (_, snapshot), (_, metrics) = self.told
        self.assertEqual((7, 3), (snapshot["id"], snapshot["value"]["values"]["clients_now"]))
        self.assertEqual(8, metrics["id"])
        self.assertIn("phpgw_connections", {each["name"] for each in metrics["value"]})
