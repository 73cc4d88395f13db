"""Scripts that still run after their timeout, where the backend can tell when they end."""

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from phpgw.backend.errors import BackendTimeout


class Overruns:
    """Waits for the end of scripts that have exceeded their timeout.

    :param max_seconds: after how many seconds a script counts as ended in any case.
    """

    def __init__(self, reactor: IReactorTime, max_seconds: float) -> None:
        self._reactor = reactor
        self._max_seconds = max_seconds
        self._ends: set[Deferred[None]] = set()
        self._is_stopped = False

    def until_ended(self, failure: Failure) -> Deferred[None] | None:
        """Return a Deferred that fires when the script of a failed event has ended.

        :returns: ``None`` if the script has ended already, or if its end cannot be known.
        """
        error = failure.value
        ended = error.ended if isinstance(error, BackendTimeout) else None
        if ended is None or ended.called or self._is_stopped:
            return None
        self._ends.add(ended)
        ended.addTimeout(self._max_seconds, self._reactor)
        return ended.addBoth(lambda _: self._ends.discard(ended))

    def stop(self) -> None:
        """Wait no longer: from now on, all these scripts count as ended."""
        self._is_stopped = True
        for ended in list(self._ends):
            ended.cancel()
