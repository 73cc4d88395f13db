"""A circuit breaker: while PHP as a whole does not reply, events fail at once.

So they do not occupy the queue until their timeout, and PHP can recover. From time to time one
event is sent as a trial, to find out whether PHP is back.

If no connection can be made, the cause is PHP. But a timeout, or status 502 of a web server, may be
caused by the event itself, and an attacker may send such events. So these failures are counted per
network, and it takes several networks to open the breaker.
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
from phpgw.relay.errors import ClientDisconnected
from phpgw.web.addresses import network_of

# Seconds until the first trial, and between two trials at most; they double with each failed trial.
_FIRST_PAUSE, _MAX_PAUSE = 1.0, 30.0
# PHP must have been silent this long before failures of several networks open the breaker.
# A web server reports failures at once, while slow replies to other events may be on their way.
_SILENCE = 3.0
# How many suspects are counted. If there are more, all events wait for the time of the next trial.
_MAX_SUSPECTS = 10_000
# Outcomes that do not tell whether PHP replies. If no worker was free, PHP may be working.
_INCONCLUSIVE = (CancelledError, ClientDisconnected, BackendBusy)


class CircuitOpen(BackendUnreachable):
    """PHP was not asked, because it has not replied recently."""


@attrs.frozen(kw_only=True)
class BreakerPolicy:
    """The conditions under which the circuit breaker opens.

    :ivar failures: after how many failures in a row; 0 for never.
    :ivar statuses: the status codes with which a web server reports that PHP has not replied.
    """

    failures: int = 0
    statuses: frozenset[int] = frozenset()


@attrs.define(eq=False)
class Ticket:
    """Identifies an event while PHP works on it.

    :ivar epoch: how often the breaker had changed its state when the event was sent.
    :ivar since: when the event was sent, in seconds of the reactor's clock.
    """

    epoch: int
    event: Event
    since: float

    @property
    def suspect(self) -> Hashable:
        """Return what a failure counts for: a network, or a client."""
        return _suspect(self.event)


class Breaker:
    """A circuit breaker, which opens while PHP does not reply.

    A failure counts only if its event was sent after the last change of the breaker's state. So
    older events say nothing about a PHP that is back. A success always counts.

    :ivar is_open: whether events fail at once.
    :ivar last_seen_at: when an event has last shown that PHP is there, in seconds of the reactor's
        clock.
    """

    log = Logger(observer=line_limit)

    def __init__(self, reactor: IReactorTime, policy: BreakerPolicy, metrics: Metrics) -> None:
        self._seconds = reactor.seconds
        self._policy = policy
        self._metrics = metrics
        self.is_open = False
        self._epoch = 0
        self.last_seen_at = float("-inf")
        # Since then: how often no connection could be made; whose events failed for other
        # reasons, and when each last did; and since when PHP has been silent.
        self._failures = 0
        self._suspects: dict[Hashable, float] = {}
        self._silent_since = 0.0
        self._pause = _FIRST_PAUSE
        self._next_trial_at = 0.0
        # Whose event is the trial that runs, if one does.
        self._on_trial: Hashable = None
        self._refused = 0
        self._log_id = ""

    def enter(self, event: Event) -> Ticket:
        """Check that an event may be sent to PHP.

        :returns: what :meth:`leave` needs when the event has ended.
        :raises CircuitOpen: if it may not.
        """
        if self.is_open:
            suspect = _suspect(event)
            trouble = self._trouble_for(suspect)
            if trouble is not None:
                self._refused += 1
                self._metrics.events_refused_by_breaker += 1
                raise CircuitOpen(trouble, self._log_id)
            self._on_trial = suspect
            self._epoch += 1
        return Ticket(self._epoch, event, self._seconds())

    def note_head(self, head: Head) -> None:
        """Note that the head of a reply has arrived, before :meth:`leave` is called."""
        if head.status not in self._policy.statuses:
            self._note_alive()

    def leave(self, ticket: Ticket, outcome: Reply | Failure) -> None:
        """Note how an event has ended.

        :param ticket: what :meth:`enter` has returned for it.
        :param outcome: PHP's reply, or the failure.
        """
        if isinstance(outcome, Reply) and outcome.head.status not in self._policy.statuses:
            self.last_seen_at = self._seconds()
            if self._failures or self._suspects or self.is_open:
                self._note_alive()
            return
        is_current = ticket.epoch == self._epoch
        if isinstance(outcome, Failure) and outcome.check(*_INCONCLUSIVE):
            if is_current:
                self._on_trial = None
            return
        reason = self._reason(outcome)
        if reason is None:
            self._note_alive()
        elif is_current:
            self._count(ticket, outcome)
            self._note_failure(reason, ticket.event.id)

    def obstacle(self) -> str | None:
        """Return why events fail at once; ``None`` if they do not, or if a trial is due."""
        if not self.is_open:
            return None
        return self._trouble_at(self._next_trial_at)

    def _trouble_for(self, suspect: Hashable) -> str | None:
        """Return why an event of a suspect fails at once; ``None`` if it may be the trial.

        Events of suspects come last, since perhaps only theirs fail.
        """
        failed_at = self._suspects.get(suspect)
        if failed_at is not None:
            return self._trouble_at(max(self._next_trial_at, failed_at + 2 * self._pause))
        if not self._suspects or len(self._suspects) >= _MAX_SUSPECTS:
            return self._trouble_at(self._next_trial_at)
        return None if self._on_trial in self._suspects else self._trouble_at(0)

    def _trouble_at(self, time: float) -> str | None:
        """Return why PHP is not asked before a time; ``None`` if that has come."""
        if self._on_trial is not None:
            return "PHP does not answer; it is being asked again"
        left = time - self._seconds()
        return f"PHP does not answer; it is asked again in {ceil(left)} s" if left > 0 else None

    def _reason(self, outcome: Reply | Failure) -> str | None:
        """Return why an outcome counts as a failure; ``None`` if PHP is there."""
        if isinstance(outcome, Reply):
            return f"status {outcome.head.status}"
        if outcome.check(BackendUnreachable, BackendTimeout):
            return outcome.getErrorMessage()
        return None

    def _count(self, ticket: Ticket, outcome: Reply | Failure) -> None:
        """Count a failure."""
        if isinstance(outcome, Failure) and outcome.check(BackendUnreachable):
            self._failures += 1
            return
        if not self._suspects:
            self._silent_since = max(ticket.since, self.last_seen_at)
        suspect = ticket.suspect
        if suspect in self._suspects or len(self._suspects) < _MAX_SUSPECTS:
            self._suspects[suspect] = self._seconds()

    def _note_alive(self) -> None:
        """Reset the counts, and close the breaker."""
        self.last_seen_at = self._seconds()
        self._failures = 0
        self._suspects.clear()
        if not self.is_open:
            return
        self.is_open = False
        self._on_trial = None
        self._epoch += 1
        self._metrics.breaker_open_now = 0
        self.log.info(
            "PHP answers again; {count} events have failed without being handed to it",
            count=self._refused,
        )

    def _note_failure(self, reason: str, event_id: str) -> None:
        """Open the breaker if enough has failed, or wait longer for the next trial."""
        self._on_trial = None
        if self.is_open:
            self._pause = min(2 * self._pause, _MAX_PAUSE)
        elif self._is_enough():
            self._open(reason, event_id)
        else:
            return
        self._next_trial_at = self._seconds() + self._pause

    def _is_enough(self) -> bool:
        """Return whether the failures are enough to open the breaker."""
        limit = self._policy.failures
        if not limit:
            return False
        if self._failures >= limit:
            return True
        is_silent = self._seconds() - self._silent_since >= _SILENCE
        return self._failures + len(self._suspects) >= limit and is_silent

    def _open(self, reason: str, event_id: str) -> None:
        """Open the breaker, and log why.

        :param event_id: the last event that has failed, whose id the line gets.
        """
        self.is_open = True
        self._epoch += 1
        self._pause = _FIRST_PAUSE
        self._refused = 0
        self._log_id = event_id
        self._metrics.breaker_open_now = 1
        self._metrics.breaker_openings += 1
        self.log.error(
            "PHP has not answered {count} clients or events in a row ({reason}); until it does, "
            "events fail at once but for one every now and then (error {event_id})",
            count=self._failures + len(self._suspects),
            reason=reason,
            event_id=event_id,
        )


def _suspect(event: Event) -> Hashable:
    """Return what a failure of an event counts for: its network, or its client if it has none."""
    identity = event.identity
    return network_of(identity.handshake.peer_host) or identity.client_id
