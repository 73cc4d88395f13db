"""Tests for :mod:`phpgw.workers.shared_failures`."""

from typing import Any

from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.errors import BackendTimeout
from phpgw.relay.failures import FailureLog
from phpgw.workers.shared_failures import SharedFailures
from phpgw.workers.survey_link import SurveyLink
from tests.support.event_reports import event_report


class SharedFailuresTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        clock = Clock()

        def tell(kind: str, **fields: Any) -> None:
            self.told.append((kind, fields))

        self.log = FailureLog(clock.seconds)
        self.surveys = SurveyLink(clock, tell)
        self.failures = SharedFailures(self.log, self.surveys)

    def add(self, failure_id: str) -> None:
        self.log.add(failure_id, event_report().event, Failure(BackendTimeout("too slow")))

    def test_new_ones(self) -> None:
        """The parent is told them, once, also where several share an entry."""
        self.failures.report_new()
        self.assertEqual([], self.told)
        for failure_id in ("1", "1", "2"):
            self.add(failure_id)
            self.failures.report_new()
            self.failures.report_new()
        self.assertEqual(3, len(self.told))
        records = self.told[-1][1]["value"]
        self.assertEqual(["2", "1"], [each["id"] for each in records])

    def test_of_all(self) -> None:
        """The parent's answer is what the API gets."""
        found = self.failures.find()
        record = {"id": "7", "problem": "x", "at": 1}
        self.surveys.surveyed({"about": "failures", "value": [record]})
        self.assertEqual([record], self.successResultOf(found).records)
