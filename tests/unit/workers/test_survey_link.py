"""Tests for :mod:`phpgw.workers.survey_link`."""

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.hub.directory import NotKnown
from phpgw.workers.survey_link import SurveyLink


class SurveyLinkTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.clock = Clock()

        def tell(kind: str, **fields: Any) -> None:
            self.told.append((kind, fields))

        self.surveys = SurveyLink(self.clock, tell)

    def test_asked_once(self) -> None:
        """Who asks while the parent is being asked gets the same answer."""
        first, second = self.surveys.ask("a"), self.surveys.ask("a")
        other = self.surveys.ask("b")
        self.assertEqual([("survey", {"about": "a"}), ("survey", {"about": "b"})], self.told)
        self.surveys.surveyed({"about": "a", "value": 5})
        self.assertEqual((5, 5), (self.successResultOf(first), self.successResultOf(second)))
        self.assertNoResult(other)
        self.surveys.ask("a").addErrback(lambda _: None)
        self.assertEqual(3, len(self.told))

    def test_no_answer(self) -> None:
        """It is not waited for without end, and then asked again."""
        asked = self.surveys.ask("a")
        self.clock.advance(3)
        self.failureResultOf(asked, NotKnown)
        self.surveys.surveyed({"about": "a", "value": 5})
        again = self.surveys.ask("a")
        self.assertEqual(2, len(self.told))
        self.surveys.surveyed({"about": "a", "value": 6})
        self.assertEqual(6, self.successResultOf(again))

    def test_reports(self) -> None:
        """It tells what it is asked for, and all of it at the end."""
        self.surveys.reports |= {"a": lambda: 1, "b": lambda: 2}
        self.surveys.report("a", 7)
        self.surveys.report("unknown", 8)
        self.surveys.report_all()
        answers = [(each["about"], each["id"], each["value"]) for _, each in self.told]
        self.assertEqual([("a", 7, 1), ("a", None, 1), ("b", None, 2)], answers)
