"""Finding out whether PHP is there while no event does."""

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

# How often it is looked whether there is a reason to probe.
_LOOK_SECONDS = 1.0
# Seconds between two probes in vain; they double.
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 5.0
# Seconds without a word of a PHP that was there.
_SILENCE = 15.0


class Prober(Service):
    """Probes PHP until it has answered once, and whenever it stops to answer.

    A PHP that was there and has nothing to do is probed only for somebody who wants to know, since
    a probe over HTTP runs a script that does not look at the method. Events tell as much.

    :param probe: see :meth:`phpgw.backend.interface.IBackend.probe`.
    :param php: knows how events fare.
    """

    log = Logger(observer=line_limit)

    def __init__(
        self,
        reactor: Any,
        probe: Callable[[], Deferred[None]],
        php: RetryingBackend,
        metrics: Metrics,
    ) -> None:
        self._seconds = reactor.seconds
        self._probe = probe
        self._php = php
        self._metrics = metrics
        self._looking = LoopingCall(self._look)
        self._looking.clock = reactor
        self._probing: Deferred[None] | None = None
        self._problem: str | None = "PHP has not answered yet"
        self._problem_at = self._seconds()
        # When a probe was answered last.
        self._answered_at = float("-inf")
        self._logged: str | None = None
        self._pause = _FIRST_PAUSE
        self._next_at = 0.0
        self._is_wanted = False

    def startService(self) -> None:
        super().startService()
        self._looking.start(_LOOK_SECONDS)

    def stopService(self) -> None:
        super().stopService()
        if self._looking.running:
            self._looking.stop()
        if self._probing is not None:
            self._probing.cancel()

    def trouble(self) -> str | None:
        """Return why PHP would not answer just now; ``None`` if it would.

        A PHP that has been silent is probed soon, for the next who wants to know.
        """
        self._is_wanted = True
        if self._php.is_away:
            return self._php.trouble() or self._problem
        return None if self._php.heard_at >= self._problem_at else self._problem

    def _look(self) -> None:
        due = self._next_at
        if not self._php.is_away:
            if self._php.heard_at >= self._problem_at:
                self._problem = self._logged = None
                self._pause = _FIRST_PAUSE
            if self._problem is None:
                if not self._is_wanted:
                    return
                due = max(due, self._php.heard_at + _SILENCE, self._answered_at + _SILENCE)
        if self._probing is None and not self._metrics.php_requests_now and self._seconds() >= due:
            self._begin()

    def _begin(self) -> None:
        self._is_wanted = False
        self._next_at = self._seconds() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        probing = self._probing = self._probe()
        probing.addBoth(self._probed)

    def _probed(self, outcome: Failure | None) -> None:
        self._probing = None
        if not self.running:
            return
        if outcome is None:
            if self._logged is not None:
                self.log.info("PHP can be reached now")
            self._problem = self._logged = None
            self._pause = _FIRST_PAUSE
            self._answered_at = self._seconds()
            return
        if not outcome.check(BackendError):
            self.log.failure("PHP could not be probed", outcome)
        self._problem = f"PHP cannot be reached: {outcome.getErrorMessage()}"
        self._problem_at = self._seconds()
        if self._problem != self._logged:
            self._logged = self._problem
            self.log.error("{problem}", problem=self._problem)
