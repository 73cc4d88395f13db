"""Tests for :mod:`phpgw.workers.shared_figures`."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from phpgw.metrics import Metrics
from phpgw.prometheus.figures import OwnFigures
from phpgw.workers.shared_figures import SharedFigures


class SharedFiguresTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.own = OwnFigures(Metrics(clients_now=3, messages_sent=4), ())

        def tell(kind: str, **fields: Any) -> None:
            self.told.append((kind, fields))

        self.figures = SharedFigures(self.own, tell)

    def test_asked(self) -> None:
        """The parent is asked once by all who ask meanwhile; its answer is what they get."""
        stats, again = self.figures.stats(), self.figures.stats()
        exposition = self.figures.exposition(b"")
        self.assertEqual([("survey", {})], self.told)
        family = {
            "name": "phpgw_x",
            "help": "X.",
            "type": "gauge",
            "merge": "sum",
            "samples": [["phpgw_x", {"a": "b"}, 3]],
        }
        self.figures.surveyed({"stats": {"clients_now": 9}, "families": [family]})
        self.assertEqual({"clients_now": 9}, self.successResultOf(stats))
        self.successResultOf(again)
        self.assertIn(b'phpgw_x{a="b"} 3.0', self.successResultOf(exposition).text)
        self.figures.stats()
        self.assertEqual(2, len(self.told))

    def test_pools(self) -> None:
        """The parent alone has pools."""
        pools = self.figures.pools()
        self.figures.surveyed({"stats": {}, "families": [], "pools": [{"name": "db"}]})
        self.assertEqual([{"name": "db"}], self.successResultOf(pools))
        self.assertEqual([], self.own.pools())

    def test_report(self) -> None:
        """The parent is told the numbers of this process."""
        self.figures.report(7)
        ((kind, fields),) = self.told
        self.assertEqual(("reported", 7, 3), (kind, fields["id"], fields["stats"]["clients_now"]))
        self.assertIn("phpgw_connections", {each["name"] for each in fields["families"]})

    def test_summary(self) -> None:
        self.assertEqual(3, self.figures.summary()["clients_now"])
