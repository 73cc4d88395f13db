"""Tests for :mod:`phpgw.workers.survey`."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from phpgw.snapshot import Snapshot
from phpgw.workers.survey import Survey
from tests.support.fake_workers import WorkersReactor


class FakeProcess:
    """Remembers the ids of questions."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def tell(self, kind: str, about: str, id: int) -> None:  # noqa: A002
        assert (kind, about) == ("report", "snapshot")
        self.asked.append(id)


def numbers(**values: int) -> Snapshot:
    return Snapshot(values, {}, [], [])


class SurveyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = WorkersReactor()
        self.processes: list[Any] = [FakeProcess(), FakeProcess()]
        self.survey = Survey(
            self.reactor, "snapshot", Snapshot, lambda: self.processes, lambda: [numbers(own=1)]
        )

    def report(self, process: Any, number: int, id_: int | None) -> None:
        value = numbers(messages_sent=number, clients_now=1).as_json()
        self.survey.reported(process, {"id": id_, "value": value})

    def sent(self, asked: Any) -> int:
        stats = self.successResultOf(asked).values
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
        """Of one that does not answer within half a second, the last report counts."""
        first, second = self.processes
        self.report(second, 3, None)
        asked = self.survey.ask()
        self.report(first, 5, first.asked[0])
        self.reactor.advance(0.5)
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
        self.assertEqual((8, 1), (report.values["messages_sent"], report.values["clients_now"]))
        self.survey.ended(first)
        self.processes.clear()
        stats = self.successResultOf(self.survey.ask()).values
        self.assertEqual((8, None), (stats["messages_sent"], stats.get("clients_now")))

    def test_latest(self) -> None:
        """What was reported without a question is there without asking."""
        first, second = self.processes
        self.report(first, 5, None)
        self.report(second, 6, None)
        self.assertEqual(11, self.survey.latest().values["messages_sent"])
        self.assertEqual([], first.asked)
