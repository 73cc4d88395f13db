"""A circuit breaker: while PHP as a whole does not answer, events fail at once.

So they neither hold a turn for as long as PHP may take, nor pile up, nor keep PHP from recovering.
From time to time one of them is let through, to see whether PHP is back.

A connection that cannot be made says something about PHP. A time-out, or the 502 of a web server,
may be the doing of that very event, which somebody may send on purpose: they count by network, so
that it takes several to open the breaker.
"""

from collections.abc import Hashable
from math import ceil

import attrs
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.backend.errors import BackendBusy, BackendTimeout, BackendUnreachable
from phpgw.backend.event import Event
from phpgw.backend.reply import Head, Reply
from phpgw.log_limit import line_limit
from phpgw.metrics import Metrics
from phpgw.relay.errors import ClientDisconnected, new_error_id
from phpgw.web.addresses import network_of

# Seconds until PHP is asked again; they double with each attempt in vain.
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
# For so many seconds nobody must have been answered where a web server does answer: it does so at
# once, and others may just be silent.
_SILENCE = 3.0
# So many suspects are told apart; what is beyond that has no short cut.
_MOST_SUSPECTS = 10_000
# A PHP that had no worker free may well be working.
_SAYS_NOTHING = (CancelledError, ClientDisconnected, BackendBusy)


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


@attrs.define(eq=False)
class Ticket:
    """An event's ticket on its way to PHP.

    :ivar epoch: when it was given, in changes between open and closed.
    :ivar since: when it was given, in seconds.
    """

    epoch: int
    event: Event
    since: float

    @property
    def suspect(self) -> Hashable:
        """Return whom a failure counts for: an address, or a client."""
        return _suspect(self.event)


class Breaker:
    """Knows whether PHP replies.

    An outcome counts if its event began after the last time that this changed, so that those who
    were under way all along say nothing about a PHP that is back. A sign of life always counts.

    :ivar is_open: whether events fail at once.
    :ivar alive_at: when the last sign of life was.
    """

    log = Logger(observer=line_limit)

    def __init__(self, reactor: IReactorTime, policy: BreakerPolicy, metrics: Metrics) -> None:
        self._seconds = reactor.seconds
        self._policy = policy
        self._metrics = metrics
        self.is_open = False
        self._epoch = 0
        # When PHP was heard of last, and since then: how often no connection was made; whose events
        # failed otherwise, with when they last did; and when the first of these began.
        self.alive_at = float("-inf")
        self._failures = 0
        self._suspects: dict[Hashable, float] = {}
        self._silent_since = 0.0
        self._pause = _FIRST_PAUSE
        self._asked_again_at = 0.0
        # Whose event has been let through, if one is under way.
        self._prober: Hashable = None
        self._refused = 0
        self._error_id = ""

    def enter(self, event: Event) -> Ticket:
        """Let an event go to PHP.

        :returns: what to call :meth:`leave` with once it is over.
        :raises CircuitOpen: if it may not.
        """
        if self.is_open:
            suspect = _suspect(event)
            trouble = self._trouble_for(suspect)
            if trouble is not None:
                self._refused += 1
                self._metrics.events_refused_by_breaker += 1
                raise CircuitOpen(trouble, self._error_id)
            self._prober = suspect
            self._epoch += 1
        return Ticket(self._epoch, event, self._seconds())

    def hear(self, head: Head) -> None:
        """PHP has begun to answer an event."""
        if head.status not in self._policy.statuses:
            self._is_alive()

    def leave(self, ticket: Ticket, outcome: Reply | Failure) -> None:
        """An event is over.

        :param ticket: what :meth:`enter` gave for it.
        :param outcome: PHP's answer, or what there was in place of one.
        """
        if isinstance(outcome, Reply) and outcome.head.status not in self._policy.statuses:
            self._is_alive()
            return
        is_current = ticket.epoch == self._epoch
        if isinstance(outcome, Failure) and outcome.check(*_SAYS_NOTHING):
            if is_current:
                self._prober = None
            return
        reason = self._reason(outcome)
        if reason is None:
            self._is_alive()
        elif is_current:
            self._count(ticket, outcome)
            self._has_failed(reason)

    def trouble(self) -> str | None:
        """Return why events fail at once; ``None`` if they do not, or it is time to try one."""
        if not self.is_open:
            return None
        return self._trouble_at(self._asked_again_at)

    def _trouble_for(self, suspect: Hashable) -> str | None:
        """Return why an event fails at once; ``None`` if it is the one that is let through.

        Those whose events have failed come after all others: perhaps only theirs do.
        """
        failed_at = self._suspects.get(suspect)
        if failed_at is not None:
            return self._trouble_at(max(self._asked_again_at, failed_at + 2 * self._pause))
        if not self._suspects or len(self._suspects) >= _MOST_SUSPECTS:
            return self._trouble_at(self._asked_again_at)
        return None if self._prober in self._suspects else self._trouble_at(0)

    def _trouble_at(self, time: float) -> str | None:
        """Return why PHP is not asked before this time."""
        if self._prober is not None:
            return "PHP does not answer; it is being asked again"
        left = time - self._seconds()
        return f"PHP does not answer; it is asked again in {ceil(left)} s" if left > 0 else None

    def _reason(self, outcome: Reply | Failure) -> str | None:
        """Return why an outcome tells of trouble; ``None`` if it is a sign of life."""
        if isinstance(outcome, Reply):
            return f"status {outcome.head.status}"
        if outcome.check(BackendUnreachable, BackendTimeout):
            return outcome.getErrorMessage()
        return None

    def _count(self, ticket: Ticket, outcome: Reply | Failure) -> None:
        if isinstance(outcome, Failure) and outcome.check(BackendUnreachable):
            self._failures += 1
            return
        if not self._suspects:
            self._silent_since = max(ticket.since, self.alive_at)
        suspect = ticket.suspect
        if suspect in self._suspects or len(self._suspects) < _MOST_SUSPECTS:
            self._suspects[suspect] = self._seconds()

    def _is_alive(self) -> None:
        self.alive_at = self._seconds()
        self._failures = 0
        self._suspects.clear()
        if not self.is_open:
            return
        self.is_open = False
        self._prober = None
        self._epoch += 1
        self._metrics.breaker_open_now = 0
        self.log.info(
            "PHP answers again; {count} events have failed without being handed to it",
            count=self._refused,
        )

    def _has_failed(self, reason: str) -> None:
        self._prober = None
        if self.is_open:
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        elif self._is_enough():
            self._open(reason)
        else:
            return
        self._asked_again_at = self._seconds() + self._pause

    def _is_enough(self) -> bool:
        """Tell whether so much has failed that PHP as a whole is in trouble."""
        most = self._policy.failures
        if not most:
            return False
        if self._failures >= most:
            return True
        is_silent = self._seconds() - self._silent_since >= _SILENCE
        return self._failures + len(self._suspects) >= most and is_silent

    def _open(self, reason: str) -> None:
        self.is_open = True
        self._epoch += 1
        self._pause = _FIRST_PAUSE
        self._refused = 0
        self._error_id = new_error_id()
        self._metrics.breaker_open_now = 1
        self._metrics.breaker_openings += 1
        self.log.error(
            "PHP has not answered {count} clients or events in a row ({reason}); until it does, "
            "events fail at once but for one every now and then (error {error_id})",
            count=self._failures + len(self._suspects),
            reason=reason,
            error_id=self._error_id,
        )


def _suspect(event: Event) -> Hashable:
    """Return whose doing an event is: a network, or a client of which no network is known."""
    identity = event.identity
    return network_of(identity.handshake.peer_host) or identity.client_id
