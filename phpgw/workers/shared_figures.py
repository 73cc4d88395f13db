"""The numbers of all workers, in the worker that is asked for them."""

from typing import Any

from twisted.internet.defer import Deferred

from phpgw.prometheus.exposition import Exposition, expose
from phpgw.prometheus.figures import OwnFigures, PlainCollector
from phpgw.snapshot import Snapshot
from phpgw.workers.survey_link import SurveyLink

SNAPSHOT, METRICS = "snapshot", "metrics"
"""The kinds of reports with numbers of workers."""
POOLS = "pools"
"""The figures of the pools, which the parent has."""


class SharedFigures:
    """Implements :class:`phpgw.prometheus.figures.Figures` by asking the parent."""

    def __init__(self, own: OwnFigures, surveys: SurveyLink) -> None:
        self._own = own
        self._surveys = surveys
        surveys.reports[SNAPSHOT] = lambda: own.snapshot().as_json()
        surveys.reports[METRICS] = own.families

    def snapshot(self) -> Deferred[Snapshot]:
        """See :meth:`phpgw.prometheus.figures.Figures.snapshot`."""
        return self._surveys.ask(SNAPSHOT).addCallback(Snapshot.from_json)

    def exposition(self, accept: bytes) -> Deferred[Exposition]:
        """See :meth:`phpgw.prometheus.figures.Figures.exposition`."""
        asked = self._surveys.ask(METRICS)
        return asked.addCallback(lambda families: expose(PlainCollector(families), accept))

    def pools(self) -> Deferred[list[dict[str, Any]]]:
        """See :meth:`phpgw.prometheus.figures.Figures.pools`."""
        return self._surveys.ask(POOLS)
