"""Scripts that PHP goes on with after their time is over, where it can be known when they end."""

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from phpgw.backend.errors import BackendTimeout


class Overruns:
    """Knows when scripts have ended that were not answered in time.

    :param longest: seconds after which one counts as ended in any case.
    """

    def __init__(self, reactor: IReactorTime, longest: float) -> None:
        self._reactor = reactor
        self._longest = longest
        self._ends: set[Deferred[None]] = set()
        self._is_hurrying = False

    def until_ended(self, failure: Failure) -> Deferred[None] | None:
        """Return what fires once the script has ended that failed in this way.

        :returns: ``None`` where it has, or that cannot be known.
        """
        error = failure.value
        ended = error.ended if isinstance(error, BackendTimeout) else None
        if ended is None or ended.called or self._is_hurrying:
            return None
        self._ends.add(ended)
        ended.addTimeout(self._longest, self._reactor)
        return ended.addBoth(lambda _: self._ends.discard(ended))

    def hurry(self) -> None:
        """From now on, take them for ended."""
        self._is_hurrying = True
        for ended in list(self._ends):
            ended.cancel()
