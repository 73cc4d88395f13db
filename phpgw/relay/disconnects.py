"""Disconnect events: tell PHP once of each admitted client that has disconnected.

The event is sent again until PHP has received it, but never again once PHP may have received it. A
web server that has no reply from PHP leaves that open: PHP may not run, or have broken off during
this event. Then a probe finds out whether PHP runs; if it does, the event counts as received.
"""

from collections import Counter, deque
from collections.abc import Hashable
from functools import partial

import attrs
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.backend.error_pages import is_not_passed_on, is_server_error_page
from phpgw.backend.errors import (
    BackendBroken,
    BackendBusy,
    BackendError,
    BackendTimeout,
    BackendUnreachable,
    ScriptNotFound,
)
from phpgw.backend.event import Event
from phpgw.backend.reply import Reply
from phpgw.hub.client import Client
from phpgw.log_limit import line_limit
from phpgw.metrics import Metrics
from phpgw.relay.event_report import EventObservers
from phpgw.relay.fifo import DeferredEvent, QueuedEvent
from phpgw.relay.ledger import Ledger, NoLedger
from phpgw.relay.queue import EventQueue
from phpgw.relay.replies import PendingReply, Replies
from phpgw.relay.reply_reader import wrong_status
from phpgw.relay.retry import RetryingBackend
from phpgw.web.addresses import network_of

# Seconds between two probes while PHP is away.
_PROBE_INTERVAL = 2
# How many disconnects may wait, half of them from one network; each takes about 2 KB.
_MAX_WAITING = 50_000
# How many are queued in one reactor turn when PHP is back.
_MAX_PER_REACTOR_TURN = 500
# Seconds between two log lines about disconnects that are dropped.
_LOG_INTERVAL = 60
_GATEWAY_TIMEOUT = 504


@attrs.frozen
class _Disconnect:
    """A client that has disconnected, with close code and reason.

    The event has the client's identity as it is when PHP is asked.

    :ivar id: the id of the event, each time that it is sent.
    :ivar began_at: when the client has disconnected, in seconds of the reactor's clock.
    """

    client: Client
    code: int
    reason: str
    id: str
    began_at: float

    def event(self, now: float) -> Event:
        """Return the event for PHP.

        :param now: seconds since the epoch.
        """
        identity = self.client.identity_at(now)
        return Event("disconnect", self.reason.encode(), identity, code=self.code, id=self.id)


@attrs.frozen
class _Attempt:
    """An attempt to tell PHP of a disconnect."""

    disconnect: _Disconnect
    queued: QueuedEvent
    event: Event


class _NotPassedOn(BackendUnreachable):
    """A web server has not passed the event on to PHP."""


class _PerhapsReceived(BackendError):
    """A web server has no reply from PHP, which may have broken off or may not run."""


class DisconnectQueue:
    """Keeps disconnects until PHP has received them.

    :param observers: is told of each event that has ended.
    :param has_web_server: whether there is a web server before PHP, with error pages of its own.
    :param ledger: knows whether PHP has to be told, and hears when it was.
    """

    log = Logger(observer=line_limit)

    def __init__(
        self,
        reactor: IReactorTime,
        backend: RetryingBackend,
        replies: Replies,
        queue: EventQueue,
        metrics: Metrics,
        observers: EventObservers,
        has_web_server: bool = False,
        ledger: Ledger | None = None,
    ) -> None:
        self._reactor = reactor
        self._backend = backend
        self._replies = replies
        self._queue = queue
        self._metrics = metrics
        self._observers = observers
        self._has_web_server = has_web_server
        self._ledger = ledger or NoLedger()
        self._count = 0
        self._networks: Counter[Hashable] = Counter()
        self._dropped = 0
        self._drops_logged_until = 0.0
        # Whether PHP could not be reached at the last attempt, and whether that has been logged.
        self._is_away = self._has_logged_away = False
        # What is sent once PHP is back, and the call that probes for it.
        self._postponed: deque[_Disconnect] = deque()
        self._probe_call: IDelayedCall | None = None
        # What PHP may have received, until a probe finds out whether it runs.
        self._doubtful: list[tuple[_Attempt, Failure]] = []
        self._is_probing = False
        self._empty_waiters: list[Deferred[None]] = []

    def __len__(self) -> int:
        """Return how many disconnects PHP has not received yet."""
        return self._count

    def add(self, client: Client, code: int, reason: str) -> None:
        """Tell PHP that a client has disconnected, as soon as possible.

        :param code: the close code (RFC 6455, sections 7.1.5 and 7.4.1).
        """
        network = network_of(client.handshake.peer_host)
        is_too_many = network is not None and self._networks[network] >= _MAX_WAITING // 2
        if self._count >= _MAX_WAITING or is_too_many:
            client.is_finished = True
            self._ledger.settle(client)
            self._drop(client)
            return
        self._networks[network] += 1
        self._change_count(1)
        event_id = self._ledger.event_id(client)
        disconnect = _Disconnect(client, code, reason, event_id, self._reactor.seconds())
        if self._is_away or self._backend.is_away:
            self._postpone(disconnect)
        else:
            self._enqueue(disconnect)

    async def when_empty(self) -> None:
        """Return once PHP has received all disconnects."""
        if self._count:
            empty: Deferred[None] = Deferred()
            self._empty_waiters.append(empty)
            await empty

    def _drop(self, client: Client) -> None:
        """Count and log a disconnect that PHP is never told of, as too many wait."""
        self._metrics.disconnects_lost += 1
        self._dropped += 1
        now = self._reactor.seconds()
        if now >= self._drops_logged_until:
            self.log.error(
                "PHP will never know that {lost} clients have left, the last of them {client_id}; "
                "it is yet to be told of {count} others",
                lost=self._dropped,
                client_id=client.id,
                count=self._count,
            )
            self._dropped = 0
            self._drops_logged_until = now + _LOG_INTERVAL

    def _enqueue(self, disconnect: _Disconnect) -> None:
        """Let a disconnect wait until PHP has a place for it."""
        run = partial(self._send, disconnect)
        self._queue.enqueue_low_priority(DeferredEvent(run, self._queue.disconnects))

    # While PHP is away

    def _postpone(self, disconnect: _Disconnect) -> None:
        """Keep a disconnect until PHP is back."""
        self._postponed.append(disconnect)
        self._probe_later()

    def _log_away(self, failure: Failure, disconnect: _Disconnect) -> None:
        """Log that PHP is away, once until it has received all disconnects."""
        if not self._has_logged_away:
            self._has_logged_away = True
            self.log.warn(
                "PHP does not hear yet that client {client_id} has left: {reason}; it is told of "
                "all that leave meanwhile once it is back",
                client_id=disconnect.client.id,
                reason=failure.getErrorMessage(),
            )

    def _probe_later(self) -> None:
        """Probe PHP after a while, if disconnects are postponed."""
        if self._postponed and self._probe_call is None:
            self._probe_call = self._reactor.callLater(_PROBE_INTERVAL, self._probe_if_allowed)

    def _probe_if_allowed(self) -> None:
        """Probe PHP, unless events are held."""
        self._probe_call = None
        if self._queue.is_held:
            self._probe_later()
        else:
            self._probe()

    def _probe(self) -> None:
        """Find out whether PHP runs."""
        if not self._is_probing:
            self._is_probing = True
            doubtful, self._doubtful = self._doubtful, []
            probed = maybeDeferred(self._backend.probe)
            probed.addCallbacks(self._found, self._not_found, (doubtful,), errbackArgs=(doubtful,))

    def _found(self, outcome: None, doubtful: list[tuple[_Attempt, Failure]]) -> None:
        """PHP runs: count the doubtful disconnects as received, and send the others."""
        self._is_probing = self._is_away = False
        for attempt, failure in doubtful:
            self._give_up(failure, attempt)
        self._enqueue_postponed()
        self._end_probe()

    def _not_found(self, failure: Failure, doubtful: list[tuple[_Attempt, Failure]]) -> None:
        """PHP does not run, so it has not received the doubtful disconnects: postpone them."""
        if failure.check(ScriptNotFound):
            # Such a probe cannot tell whether PHP runs.
            self._found(None, doubtful)
            return
        self._is_probing = False
        self._is_away = True
        for attempt, _ in doubtful:
            self._send_later(failure, attempt.disconnect)
        self._end_probe()

    def _end_probe(self) -> None:
        """Probe again for what has become doubtful meanwhile."""
        if self._doubtful:
            # They have been added during the probe.
            self._probe()
        else:
            self._probe_later()

    def _enqueue_postponed(self) -> None:
        """Enqueue some of the postponed disconnects, and the others in later reactor turns.

        While the circuit breaker is open, one is enough to find out whether PHP replies.
        """
        max_count = 1 if self._backend.is_away else _MAX_PER_REACTOR_TURN
        for _ in range(min(max_count, len(self._postponed))):
            self._enqueue(self._postponed.popleft())
        if self._postponed and not self._backend.is_away and self._probe_call is None:
            self._probe_call = self._reactor.callLater(0, self._enqueue_more)

    def _enqueue_more(self) -> None:
        """Enqueue more of the postponed disconnects, unless PHP is away again."""
        self._probe_call = None
        if self._is_away:
            self._probe_later()
        else:
            self._enqueue_postponed()
            self._probe_later()

    # One event

    def _send(
        self, disconnect: _Disconnect, queued: QueuedEvent, error: BackendError | None
    ) -> Deferred[None] | None:
        """Ask PHP, unless it has been found away meanwhile, or others do so."""
        if self._is_away or self._ledger.is_in_doubt:
            self._postpone(disconnect)
            return None
        disconnect.client.is_finished = True
        if not self._ledger.is_owed(disconnect.client):
            self._remove(disconnect)
            return None
        event = disconnect.event(self._replies.wall_time())
        queued.began_at, queued.asked_at = disconnect.began_at, self._reactor.seconds()
        attempt = _Attempt(disconnect, queued, event)
        asked = self._backend.ask(event)
        asked.addCallback(self._replied, queued)
        return asked.addCallbacks(self._received, self._failed, (attempt,), errbackArgs=(attempt,))

    def _replied(self, reply: Reply, queued: QueuedEvent) -> Deferred[None] | None:
        """Carry out the commands of a reply, unless a web server has sent it in place of PHP."""
        queued.reply, queued.replied_at = reply, self._reactor.seconds()
        if self._has_web_server:
            status = reply.head.status
            if is_not_passed_on(reply):
                raise _NotPassedOn(f"a web server answered with status {status}")
            if is_server_error_page(reply):
                error = BackendTimeout if status == _GATEWAY_TIMEOUT else _PerhapsReceived
                raise error(str(wrong_status(reply)))
        # The client cannot get a reply any longer, but its commands may be for others.
        return PendingReply(self._replies, None).complete(reply)

    def _failed(self, failure: Failure, attempt: _Attempt) -> None:
        """Postpone a disconnect that PHP has not received; give up one that it may have."""
        if failure.check(BackendUnreachable, BackendBusy):
            # PHP has not received it, and would take the client for connected forever.
            self._send_later(failure, attempt.disconnect)
        elif failure.check(_PerhapsReceived):
            self._doubtful.append((attempt, failure))
            self._probe()
        elif failure.check(BackendTimeout):
            self._give_up(failure, attempt)
            # If PHP hangs as a whole, all others would be lost, one after the other.
            self._is_away = True
            self._probe()
        elif failure.check(BackendBroken):
            self._give_up(failure, attempt)
        else:
            self._end_failed(failure, attempt)

    def _send_later(self, failure: Failure, disconnect: _Disconnect) -> None:
        """Postpone a disconnect that PHP has not received."""
        disconnect.client.is_finished = False
        self._log_away(failure, disconnect)
        self._postpone(disconnect)

    def _give_up(self, failure: Failure, attempt: _Attempt) -> None:
        """Count a disconnect as lost, since PHP may have received it or not."""
        self._metrics.disconnects_lost += 1
        self._end_failed(failure, attempt)

    def _end_failed(self, failure: Failure, attempt: _Attempt) -> None:
        """Log why a disconnect has failed, and remove it."""
        attempt.queued.failure = failure
        subject = f"the disconnect of client {attempt.disconnect.client.id}"
        self._replies.report_failure(subject, attempt.event, failure, None)
        self._received(None, attempt)

    def _received(self, outcome: None, attempt: _Attempt) -> None:
        """Settle a disconnect; nothing more is sent for it."""
        self._observers.ended(attempt.queued, attempt.event)
        self._ledger.settle(attempt.disconnect.client)
        self._remove(attempt.disconnect)

    def _remove(self, disconnect: _Disconnect) -> None:
        """Count a disconnect no longer."""
        network = network_of(disconnect.client.handshake.peer_host)
        self._networks[network] -= 1
        if not self._networks[network]:
            del self._networks[network]
        self._change_count(-1)
        if not self._count:
            self._has_logged_away = False
            waiters, self._empty_waiters = self._empty_waiters, []
            for waiter in waiters:
                waiter.callback(None)

    def _change_count(self, change: int) -> None:
        self._count += change
        self._metrics.disconnects_waiting_now = self._count
