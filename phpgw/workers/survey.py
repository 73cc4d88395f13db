"""Asks all workers what they know of one kind, in the parent."""

from collections.abc import Callable, Iterable
from typing import Any, Generic, Protocol, Self, TypeVar

from twisted.internet.defer import Deferred

from phpgw.process.messages import Message
from phpgw.workers.pending_answers import PendingAnswers
from phpgw.workers.worker_process import WorkerProcess


class WorkerReport(Protocol):
    """The report of a worker, and the sum of several reports."""

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Return the report of another process."""

    @classmethod
    def merge(cls, several: Iterable[Self]) -> Self:
        """Return the reports of several workers as that of one gateway."""

    def totals(self) -> Self:
        """Return what stays true of a worker that has ended."""

    def as_json(self) -> Any:
        """Return the report in JSON's own types."""


R = TypeVar("R", bound=WorkerReport)


class Survey(Generic[R]):
    """The reports of the workers that there are, and of those that have ended.

    What only grows must never shrink in the sum, or else Prometheus takes it for a restart, and
    counts all of it once more. So the totals of a worker are kept when it ends.

    :param about: the name of such reports.
    :param reports: their class.
    :param processes: returns the processes that serve.
    :param own: returns what the parent itself adds.
    """

    def __init__(
        self,
        reactor: Any,
        about: str,
        reports: type[R],
        processes: Callable[[], Iterable[WorkerProcess]],
        own: Callable[[], Iterable[R]] = tuple,
    ) -> None:
        self._about = about
        self._reports = reports
        self._processes = processes
        self._own = own
        self._last: dict[WorkerProcess, R] = {}
        self._ended: list[R] = []
        self._questions = PendingAnswers(reactor)

    def ask(self) -> Deferred[R]:
        """Ask all workers.

        :returns: fires with the sum of their reports, and of those before them. Of a worker that
            does not answer, the last report counts.
        """

        def tell(process: WorkerProcess, id_: int) -> None:
            process.tell("report", about=self._about, id=id_)

        asked = self._questions.ask(self._processes(), tell)
        return asked.addCallback(lambda _: self.latest())

    def reported(self, process: WorkerProcess, message: Message) -> None:
        """Note what a process has reported."""
        self._last[process] = self._reports.from_json(message["value"])
        self._questions.answered(process, message.get("id"))

    def ended(self, process: WorkerProcess) -> None:
        """Note that a process has ended: its totals are kept, and nobody waits for it."""
        last = self._last.pop(process, None)
        if last is not None:
            self._ended = [self._reports.merge((*self._ended, last.totals()))]
        self._questions.ended(process)

    def latest(self) -> R:
        """Return the sum of what is known without asking."""
        return self._reports.merge((*self._last.values(), *self._ended, *self._own()))
