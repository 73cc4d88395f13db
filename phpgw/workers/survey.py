"""Asks all workers for their numbers, in the parent."""

from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred

from phpgw.process.messages import Message
from phpgw.workers.report import NOTHING, Report, merge_reports
from phpgw.workers.worker_process import WorkerProcess

# Seconds for the workers to report. Of one that does not, the last report counts.
_SECONDS = 1.0


class Survey:
    """The numbers of the workers that there are, and of those that have ended.

    What only grows must never shrink in the sum, or else Prometheus takes it for a restart, and
    counts all of it once more. So the totals of a worker are kept when it ends.

    :param processes: returns the processes that serve.
    :param own: returns the parent's own numbers.
    """

    def __init__(
        self,
        reactor: Any,
        processes: Callable[[], Iterable[WorkerProcess]],
        own: Callable[[], Report],
    ) -> None:
        self._reactor = reactor
        self._processes = processes
        self._own = own
        self._last: dict[WorkerProcess, Report] = {}
        self._ended = NOTHING
        self._ids = count()
        # The processes that have not reported, by the id of the question.
        self._open: dict[int, tuple[set[WorkerProcess], Deferred[None]]] = {}

    def ask(self) -> Deferred[Report]:
        """Ask all workers.

        :returns: fires with the sum of their numbers, and of those before them.
        """
        id_ = next(self._ids)
        asked = {*self._processes()}
        answered: Deferred[None] = Deferred()
        self._open[id_] = asked, answered
        for process in [*asked]:
            process.tell("report", id=id_)
        self._check(id_)
        answered.addTimeout(_SECONDS, self._reactor, onTimeoutCancel=lambda *_: None)
        return answered.addCallback(lambda _: self._sum(id_))

    def reported(self, process: WorkerProcess, message: Message) -> None:
        """Note what a process has reported."""
        self._last[process] = Report.from_json(message)
        self._remove(process, message.get("id"))

    def ended(self, process: WorkerProcess) -> None:
        """Note that a process has ended: its totals are kept, and nobody waits for it."""
        last = self._last.pop(process, None)
        if last is not None:
            self._ended = merge_reports((self._ended, last.totals()))
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

    def _sum(self, id_: int) -> Report:
        self._open.pop(id_, None)
        return merge_reports((*self._last.values(), self._ended, self._own()))
