"""Asks all workers what they know of one kind, in the parent."""

from collections.abc import Callable, Iterable
from itertools import count
from typing import Any, Generic, Protocol, Self, TypeVar

from twisted.internet.defer import Deferred

from phpgw.process.messages import Message
from phpgw.workers.worker_process import WorkerProcess

# Seconds for the workers to report. Of one that does not, the last report counts. It is less than
# the second from one set of rates to the next.
_SECONDS = 0.5


class WorkerReport(Protocol):
    """What a worker reports, and what becomes of several reports."""

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
        self._reactor = reactor
        self._about = about
        self._reports = reports
        self._processes = processes
        self._own = own
        self._last: dict[WorkerProcess, R] = {}
        self._ended: list[R] = []
        self._ids = count()
        # The processes that have not reported, by the id of the question.
        self._open: dict[int, tuple[set[WorkerProcess], Deferred[None]]] = {}

    def ask(self) -> Deferred[R]:
        """Ask all workers.

        :returns: fires with the sum of their reports, and of those before them.
        """
        id_ = next(self._ids)
        asked = {*self._processes()}
        answered: Deferred[None] = Deferred()
        self._open[id_] = asked, answered
        for process in [*asked]:
            process.tell("report", about=self._about, id=id_)
        self._check(id_)
        answered.addTimeout(_SECONDS, self._reactor, onTimeoutCancel=lambda *_: None)
        return answered.addCallback(lambda _: self._close(id_))

    def reported(self, process: WorkerProcess, message: Message) -> None:
        """Note what a process has reported."""
        self._last[process] = self._reports.from_json(message["value"])
        self._remove(process, message.get("id"))

    def ended(self, process: WorkerProcess) -> None:
        """Note that a process has ended: its totals are kept, and nobody waits for it."""
        last = self._last.pop(process, None)
        if last is not None:
            self._ended = [self._reports.merge((*self._ended, last.totals()))]
        for id_ in [*self._open]:
            self._remove(process, id_)

    def _remove(self, process: WorkerProcess, id_: int | None) -> None:
        if id_ in self._open:
            self._open[id_][0].discard(process)
            self._check(id_)

    def _check(self, id_: int) -> None:
        asked, answered = self._open[id_]
        if not asked and not answered.called:
            answered.callback(None)

    def latest(self) -> R:
        """Return the sum of what is known without asking."""
        return self._reports.merge((*self._last.values(), *self._ended, *self._own()))

    def _close(self, id_: int) -> R:
        self._open.pop(id_, None)
        return self.latest()
