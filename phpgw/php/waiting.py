"""How many events may wait for PHP, and for how long; what is beyond that fails at once."""

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from phpgw.backend import BackendError
from phpgw.metrics import Metrics
from phpgw.php.answers import new_error_id
from phpgw.seldom import Seldom


class Overloaded(BackendError):
    """PHP was not asked, since it cannot keep up."""


class WaitingLimits:
    """Says who has to give up.

    :param count: how many events may wait.
    :param seconds: how long each may; 0 for ever.
    """

    def __init__(self, reactor: IReactorTime, count: int, seconds: float, metrics: Metrics) -> None:
        self.now = reactor.seconds
        self._count = count
        self._seconds = seconds
        self._metrics = metrics
        self._counted_from = 0.0
        self._too_many = _Reason(f"{count} events wait for PHP already", self.now)
        self._too_long = _Reason(f"PHP had no time for it within {seconds:g} s", self.now)

    def too_many(self, waiting: int) -> Overloaded | None:
        """What becomes of an event that would wait, too; ``None`` if it may.

        :param waiting: how many wait already.
        """
        return self._overloaded(self._too_many) if waiting >= self._count else None

    def too_long(self, since: float) -> Overloaded | None:
        """What becomes of an event whose turn has come; ``None`` if it may have it.

        :param since: when it began to wait.
        """
        waited = self.now() - max(since, self._counted_from)
        if not self._seconds or waited <= self._seconds:
            return None
        return self._overloaded(self._too_long)

    def start_anew(self) -> None:
        """The time so far does not count: those who wait were made to."""
        self._counted_from = self.now()

    def _overloaded(self, reason: "_Reason") -> Overloaded:
        self._metrics.events_refused_by_overload += 1
        return reason.error()


class _Reason:
    """A reason for which events fail, many of them at a time."""

    log = Logger()

    def __init__(self, text: str, seconds: Callable[[], float]) -> None:
        self._text = text
        self._seldom = Seldom(seconds)
        self._error_id = ""

    def error(self) -> Overloaded:
        count = self._seldom.count()
        if count:
            self._error_id = new_error_id()
            self.log.error(
                "PHP cannot keep up; {count} more events have failed: {reason} (this and those to "
                "come are error {error_id})",
                count=count,
                reason=self._text,
                error_id=self._error_id,
            )
        return Overloaded(self._text, self._error_id)
