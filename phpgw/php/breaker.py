"""A circuit breaker: while PHP as a whole does not answer, events fail at once.

So they neither hold a turn for as long as PHP may take, nor pile up, nor keep PHP from recovering.
From time to time one of them is let through, to see whether PHP is back.
"""

from math import ceil

import attrs
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.backend import BackendBusy, BackendTimeout, BackendUnreachable, Head, Reply
from phpgw.metrics import Metrics
from phpgw.php.answers import ClientLeft, new_error_id
from phpgw.seldom import line_limit

# Seconds until PHP is asked again; they double with each attempt in vain.
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0


# A PHP that had no worker free may well be working.
_SAYS_NOTHING = (CancelledError, ClientLeft, BackendBusy)


class CircuitOpen(BackendUnreachable):
    """PHP was not asked, since it has not answered of late."""


@attrs.frozen(kw_only=True)
class BreakerPolicy:
    """When PHP counts as being in trouble.

    :ivar failures: after so many events in a row that it has not answered; 0 for never.
    :ivar statuses: the status codes by which a web server says that PHP has not answered.
    """

    failures: int = 0
    statuses: frozenset[int] = frozenset()


class Breaker:
    """Knows whether PHP answers.

    An outcome counts if its event began after the last time that this changed, so that those who
    were under way all along say nothing about a PHP that is back. A sign of life always counts.

    :ivar is_open: whether events fail at once.
    """

    log = Logger(observer=line_limit)

    def __init__(self, reactor: IReactorTime, policy: BreakerPolicy, metrics: Metrics) -> None:
        self._seconds = reactor.seconds
        self._policy = policy
        self._metrics = metrics
        self.is_open = False
        self._epoch = 0
        self._failures = 0
        self._pause = _FIRST_PAUSE
        self._asked_again_at = 0.0
        self._is_probing = False
        self._refused = 0
        self._error_id = ""

    def enter(self) -> int:
        """An event wants to go to PHP.

        :returns: what to call :meth:`leave` with once it is over.
        :raises CircuitOpen: if it may not.
        """
        if not self.is_open:
            return self._epoch
        trouble = self.trouble()
        if trouble is not None:
            self._refused += 1
            self._metrics.events_refused_by_breaker += 1
            raise CircuitOpen(trouble, self._error_id)
        self._is_probing = True
        self._epoch += 1
        return self._epoch

    def hear(self, head: Head) -> None:
        """PHP has begun to answer an event."""
        if head.status not in self._policy.statuses:
            self._is_alive()

    def leave(self, ticket: int, outcome: Reply | Failure) -> None:
        """An event is over.

        :param ticket: what :meth:`enter` gave for it.
        :param outcome: PHP's answer, or what there was in place of one.
        """
        is_current = ticket == self._epoch
        if isinstance(outcome, Failure) and outcome.check(*_SAYS_NOTHING):
            if is_current:
                self._is_probing = False
            return
        reason = self._reason(outcome)
        if reason is None:
            self._is_alive()
        elif is_current:
            self._has_failed(reason)

    def trouble(self) -> str | None:
        """Why an event would fail at once; ``None`` if it would not."""
        if not self.is_open:
            return None
        if self._is_probing:
            return "PHP does not answer; it is being asked again"
        left = self._asked_again_at - self._seconds()
        return f"PHP does not answer; it is asked again in {ceil(left)} s" if left > 0 else None

    def _reason(self, outcome: Reply | Failure) -> str | None:
        """Why an outcome tells of trouble; ``None`` if it is a sign of life, be it an error."""
        if isinstance(outcome, Reply):
            status = outcome.head.status
            return f"status {status}" if status in self._policy.statuses else None
        if outcome.check(BackendUnreachable, BackendTimeout):
            return outcome.getErrorMessage()
        return None

    def _is_alive(self) -> None:
        self._failures = 0
        if not self.is_open:
            return
        self.is_open = self._is_probing = False
        self._epoch += 1
        self._metrics.breaker_open_now = 0
        self.log.info(
            "PHP answers again; {count} events have failed without being handed to it",
            count=self._refused,
        )

    def _has_failed(self, reason: str) -> None:
        self._is_probing = False
        if self.is_open:
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        else:
            self._failures += 1
            if self._failures != self._policy.failures:
                return
            self._open(reason)
        self._asked_again_at = self._seconds() + self._pause

    def _open(self, reason: str) -> None:
        self.is_open = True
        self._epoch += 1
        self._pause = _FIRST_PAUSE
        self._refused = 0
        self._error_id = new_error_id()
        self._metrics.breaker_open_now = 1
        self._metrics.breaker_openings += 1
        self.log.error(
            "PHP has not answered {count} events in a row ({reason}); until it does, events fail "
            "at once but for one every now and then (error {error_id})",
            count=self._failures,
            reason=reason,
            error_id=self._error_id,
        )
