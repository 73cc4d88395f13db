"""The failures of all workers, in the worker that is asked for them."""

from twisted.internet.defer import Deferred

from phpgw.relay.failure_list import FailureList
from phpgw.relay.failures import FailureLog
from phpgw.workers.survey_link import SurveyLink

_FAILURES = "failures"


class SharedFailures:
    """Asks the parent for the failures of all workers, and tells it those of this one."""

    def __init__(self, own: FailureLog, surveys: SurveyLink) -> None:
        self._own = own
        self._surveys = surveys
        self._told = 0
        surveys.reports[_FAILURES] = lambda: own.as_list().as_json()

    def find(self) -> Deferred[FailureList]:
        """Return the failures of all workers."""
        return self._surveys.ask(_FAILURES).addCallback(FailureList.from_json)

    def report_new(self) -> None:
        """Tell the parent the failures, if there are new ones: the worker may be killed."""
        if self._own.added != self._told:
            self._told = self._own.added
            self._surveys.report(_FAILURES)
