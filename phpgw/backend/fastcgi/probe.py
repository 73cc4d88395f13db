"""Whether a worker of PHP-FPM can be reached: asked for a value, without running a script."""

from twisted.internet.defer import Deferred

from phpgw.backend.deadlines import Deadlines
from phpgw.backend.fastcgi.connection import Connection
from phpgw.backend.fastcgi.pool import Pool


class Probe:
    """An ask that is answered as soon as a worker waits for a request.

    :ivar answered: fires with ``None``, or fails with what is in the way.
    """

    request = b""

    def __init__(self, pool: Pool, deadlines: "Deadlines[Probe]") -> None:
        self._pool = pool
        self._deadlines = deadlines
        self.answered: Deferred[None] = Deferred(self._cancelled)

    def taken(self, connection: Connection) -> None:
        """Unused: nothing is sent."""

    def receive(self, data: bytes) -> bool:
        """Unused: nothing is sent."""
        return True

    def complete(self) -> None:
        """Tell that there is a worker."""
        self._deadlines.stop(self)
        self.answered.callback(None)

    def fail(self, error: Exception) -> None:
        """Tell what is in the way."""
        self._deadlines.stop(self)
        self.answered.errback(error)

    def give_up(self) -> None:
        """Fail, since all workers are busy, or hang."""
        self._pool.withdraw(self)
        self.fail(self._pool.no_worker(self._deadlines.seconds))

    def _cancelled(self, answered: Deferred[None]) -> None:
        self._deadlines.stop(self)
        self._pool.withdraw(self)
