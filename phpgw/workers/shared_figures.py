"""The numbers of all workers, in the worker that is asked for them."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from phpgw.metrics import SUMMARY
from phpgw.process.messages import Message
from phpgw.prometheus.exposition import Exposition, expose
from phpgw.prometheus.figures import OwnFigures, PlainCollector
from phpgw.workers.report import Report


class SharedFigures:
    """Implements :class:`phpgw.prometheus.figures.Figures` by asking the parent.

    Whoever asks while the parent is being asked gets the same answer.

    :param tell: sends the parent a message.
    """

    def __init__(self, own: OwnFigures, tell: Callable[..., None]) -> None:
        self._own = own
        self._tell = tell
        self._waiting: list[Deferred[Report]] = []

    def stats(self) -> Deferred[dict[str, int]]:
        """See :meth:`phpgw.prometheus.figures.Figures.stats`."""
        return self._ask().addCallback(lambda report: dict(report.stats))

    def exposition(self, accept: bytes) -> Deferred[Exposition]:
        """See :meth:`phpgw.prometheus.figures.Figures.exposition`."""
        return self._ask().addCallback(
            lambda report: expose(PlainCollector(report.families), accept)
        )

    def pools(self) -> Deferred[list[dict[str, Any]]]:
        """See :meth:`phpgw.prometheus.figures.Figures.pools`."""
        return self._ask().addCallback(lambda report: [dict(pool) for pool in report.pools])

    def summary(self) -> dict[str, int]:
        """Return the numbers of :meth:`phpgw.metrics.Metrics.summary`."""
        stats = self._own.stats()
        return {name: stats[name] for name in SUMMARY}

    def report(self, id_: int | None) -> None:
        """Tell the parent the numbers of this process.

        :param id_: the id of its question; ``None`` if it has not asked.
        """
        self._tell("reported", id=id_, stats=self._own.stats(), families=self._own.families())

    def surveyed(self, message: Message) -> None:
        """Note the parent's answer."""
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(Report.from_json(message))

    def _ask(self) -> Deferred[Report]:
        asked: Deferred[Report] = Deferred()
        if not self._waiting:
            self._tell("survey")
        self._waiting.append(asked)
        return asked
