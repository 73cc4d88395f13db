"""Tests for :mod:`phpgw.workers.survey`."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from phpgw.workers.report import Report
from phpgw.workers.survey import Survey
from tests.support.fake_workers import WorkersReactor


class FakeProcess:
    """Remembers the ids of questions."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def tell(self, kind: str, id: int) -> None:  # noqa: A002
        self.asked.append(id)


class SurveyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = WorkersReactor()
        self.processes: list[Any] = [FakeProcess(), FakeProcess()]
        own = Report({"own": 1}, [])
        self.survey = Survey(self.reactor, lambda: self.processes, lambda: own)

    def report(self, process: Any, number: int, id_: int | None) -> None:
        stats = {"messages_sent": number, "clients_now": 1}
        self.survey.reported(process, {"id": id_, "stats": stats, "families": []})

    def sent(self, asked: Any) -> int:
        stats = self.successResultOf(asked).stats
        self.assertEqual(1, stats["own"])
        number: int = stats.get("messages_sent", 0)
        return number

    def test_sum(self) -> None:
        """It is there once all have reported."""
        first, second = self.processes
        asked = self.survey.ask()
        self.report(first, 5, first.asked[0])
        self.assertNoResult(asked)
        self.report(second, 6, second.asked[0])
        self.assertEqual(11, self.sent(asked))
        self.assertEqual([], self.reactor.getDelayedCalls())

    def test_several_questions(self) -> None:
        questions = [self.survey.ask(), self.survey.ask()]
        for index in (1, 0):
            for process in self.processes:
                self.report(process, 5, process.asked[index])
            self.assertEqual(10, self.sent(questions[index]))

    def test_silent(self) -> None:
        """Of one that does not answer within a second, the last report counts."""
        first, second = self.processes
        self.report(second, 3, None)
        asked = self.survey.ask()
        self.report(first, 5, first.asked[0])
        self.reactor.advance(1)
        self.assertEqual(8, self.sent(asked))
        self.report(second, 4, second.asked[0])

    def test_ended(self) -> None:
        """The totals of one that has ended stay, and nobody waits for it."""
        first, second = self.processes
        self.report(second, 3, None)
        asked = self.survey.ask()
        self.report(first, 5, first.asked[0])
        self.survey.ended(second)
        self.processes.remove(second)
        report = self.successResultOf(asked)
        self.assertEqual((8, 1), (report.stats["messages_sent"], report.stats["clients_now"]))
        self.survey.ended(first)
        self.processes.clear()
        stats = self.successResultOf(self.survey.ask()).stats
        self.assertEqual((8, None), (stats["messages_sent"], stats.get("clients_now")))
