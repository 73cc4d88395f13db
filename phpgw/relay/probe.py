"""Probes that find out whether PHP runs while no event does so."""

from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.backend.errors import BackendError
from phpgw.log_limit import line_limit
from phpgw.metrics import Metrics
from phpgw.relay.retry import RetryingBackend

# Seconds between two checks whether a probe is due.
_CHECK_INTERVAL = 1.0
# Seconds between two failed probes: at first, and at most; they double.
_FIRST_PAUSE, _MAX_PAUSE = 1.0, 5.0
# A PHP that has replied is probed again after this many seconds without a reply.
_SILENCE = 15.0


class Prober(Service):
    """Probes PHP until it has replied once, and whenever it stops replying.

    If PHP was there and has nothing to do, it is probed only after :meth:`trouble` was called: over
    HTTP, a probe runs the whole script if that ignores the request method. Replies to events tell
    as much as a probe.

    :param probe: see :meth:`phpgw.backend.interface.IBackend.probe`.
    :param backend: tells when PHP has replied to events.
    """

    log = Logger(observer=line_limit)

    def __init__(
        self,
        reactor: Any,
        probe: Callable[[], Deferred[None]],
        backend: RetryingBackend,
        metrics: Metrics,
    ) -> None:
        self._seconds = reactor.seconds
        self._probe = probe
        self._backend = backend
        self._metrics = metrics
        self._checking = LoopingCall(self._check)
        self._checking.clock = reactor
        self._probing: Deferred[None] | None = None
        self._problem: str | None = "PHP has not answered yet"
        self._problem_at = self._seconds()
        # When a probe has last succeeded.
        self._succeeded_at = float("-inf")
        self._logged: str | None = None
        self._pause = _FIRST_PAUSE
        self._next_at = 0.0
        self._is_wanted = False

    def startService(self) -> None:
        super().startService()
        self._checking.start(_CHECK_INTERVAL)

    def stopService(self) -> None:
        super().stopService()
        if self._checking.running:
            self._checking.stop()
        if self._probing is not None:
            self._probing.cancel()

    def obstacle(self) -> str | None:
        """Return why PHP would not reply now; ``None`` if it would.

        If PHP has been silent, this makes it be probed soon, for the next call.
        """
        self._is_wanted = True
        if self._backend.is_away:
            return self._backend.obstacle() or self._problem
        return None if self._backend.last_seen_at >= self._problem_at else self._problem

    def _check(self) -> None:
        """Probe PHP if that is due."""
        due = self._next_at
        if not self._backend.is_away:
            if self._backend.last_seen_at >= self._problem_at:
                self._problem = self._logged = None
                self._pause = _FIRST_PAUSE
            if self._problem is None:
                if not self._is_wanted:
                    return
                due = max(due, self._backend.last_seen_at + _SILENCE, self._succeeded_at + _SILENCE)
        if self._probing is None and not self._metrics.php_requests_now and self._seconds() >= due:
            self._start()

    def _start(self) -> None:
        """Start a probe."""
        self._is_wanted = False
        self._next_at = self._seconds() + self._pause
        self._pause = min(2 * self._pause, _MAX_PAUSE)
        probing = self._probing = self._probe()
        probing.addBoth(self._probed)

    def _probed(self, outcome: Failure | None) -> None:
        """Note how a probe has ended, and log a change."""
        self._probing = None
        if not self.running:
            return
        if outcome is None:
            if self._logged is not None:
                self.log.info("PHP can be reached now")
            self._problem = self._logged = None
            self._pause = _FIRST_PAUSE
            self._succeeded_at = self._seconds()
            return
        if not outcome.check(BackendError):
            self.log.failure("PHP could not be probed", outcome)
        self._problem = f"PHP cannot be reached: {outcome.getErrorMessage()}"
        self._problem_at = self._seconds()
        if self._problem != self._logged:
            self._logged = self._problem
            self.log.error("{problem}", problem=self._problem)
