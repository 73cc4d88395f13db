"""Probes of PHP-FPM: a worker is queried for a value, and no script runs."""

from twisted.internet.defer import Deferred

from phpgw.backend.fastcgi.connection import FastCgiConnection
from phpgw.backend.fastcgi.pool import FastCgiPool
from phpgw.deadlines import Deadlines


class FastCgiProbe:
    """A request without data, which is complete as soon as a worker waits for a request.

    :ivar done: fires with ``None``, or fails with what is in the way.
    """

    data = b""

    def __init__(self, pool: FastCgiPool, deadlines: "Deadlines[FastCgiProbe]") -> None:
        self._pool = pool
        self._deadlines = deadlines
        self.done: Deferred[None] = Deferred(self._cancel)

    def sent(self, connection: FastCgiConnection) -> None:
        """Do nothing; this is never called, since there is nothing to send."""

    def receive(self, data: bytes) -> bool:
        """Return true; this is never called, since nothing is sent."""
        return True

    def complete(self) -> None:
        """Fire :attr:`done`: there is a worker."""
        self._deadlines.stop(self)
        self.done.callback(None)

    def fail(self, error: Exception) -> None:
        """Fail :attr:`done` with what is in the way."""
        self._deadlines.stop(self)
        self.done.errback(error)

    def expire(self) -> None:
        """Fail, since all workers are busy, or hang."""
        self._pool.withdraw(self)
        self.fail(self._pool.no_worker_error(self._deadlines.seconds))

    def _cancel(self, done: Deferred[None]) -> None:
        self._deadlines.stop(self)
        self._pool.withdraw(self)
