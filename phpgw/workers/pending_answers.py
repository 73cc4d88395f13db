"""Questions to several processes, each of which is over when all have answered."""

from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred

from phpgw.workers.worker_process import WorkerProcess

# Seconds for the answers: less than the second from one set of rates to the next.
_SECONDS = 0.5


class PendingAnswers:
    """The processes that have not answered, by the id of the question."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._ids = count()
        self._open: dict[int, tuple[set[WorkerProcess], Deferred[None]]] = {}

    def ask(
        self, processes: Iterable[WorkerProcess], tell: Callable[[WorkerProcess, int], None]
    ) -> Deferred[None]:
        """Ask processes.

        :param tell: asks one, given the id of the question.
        :returns: fires once all of them have answered or ended, or after half a second.
        """
        id_ = next(self._ids)
        asked = {*processes}
        answered: Deferred[None] = Deferred()
        self._open[id_] = asked, answered
        for process in [*asked]:
            tell(process, id_)
        self._check(id_)
        answered.addTimeout(_SECONDS, self._reactor, onTimeoutCancel=lambda *_: None)

        def close(_: None) -> None:
            del self._open[id_]

        return answered.addCallback(close)

    def answered(self, process: WorkerProcess, id_: int | None) -> None:
        """Note that a process has answered; ``None`` is no question."""
        if id_ in self._open:
            self._open[id_][0].discard(process)
            self._check(id_)

    def ended(self, process: WorkerProcess) -> None:
        """Wait for a process no longer."""
        for id_ in [*self._open]:
            self.answered(process, id_)

    def _check(self, id_: int) -> None:
        asked, answered = self._open[id_]
        if not asked and not answered.called:
            answered.callback(None)
