"""The way of an event from a client to PHP, and of the reply back.

The events of a client run one after the other, in order; those of different clients run side by
side. A client enters the queue anew after each event. So none starves, and the queue is never
longer than there are clients. The disconnect is the last event of a client.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from phpgw.backend.errors import BackendError
from phpgw.backend.event import Event
from phpgw.backend.interface import IBackend
from phpgw.backend.reply import Reply
from phpgw.hub.client import Client, Message
from phpgw.metrics import Metrics
from phpgw.relay.breaker import Breaker
from phpgw.relay.check_event import CheckEvents
from phpgw.relay.disconnects import DisconnectQueue
from phpgw.relay.errors import ClientDisconnected
from phpgw.relay.event_report import EventObservers
from phpgw.relay.fifo import DeferredEvent, QueuedEvent
from phpgw.relay.ledger import Ledger, NoLedger
from phpgw.relay.message import ClientMessage, MessageContext
from phpgw.relay.overload import WaitingLimits
from phpgw.relay.overruns import Overruns
from phpgw.relay.own_events import OwnEvents
from phpgw.relay.policy import RelayPolicy
from phpgw.relay.queue import EventQueue
from phpgw.relay.replies import Replies
from phpgw.relay.retry import RetryingBackend
from phpgw.relay.server_replies import ServerReplies
from phpgw.relay.stream_limits import StreamLimits
from phpgw.relay.timer_events import TimerEvents

T = TypeVar("T")


class Relay:
    """Sends the events of clients to PHP, and has the replies carried out.

    :param ledger: keeps the disconnects that PHP must be told of, if others can do so, too.
    :ivar concurrency: how many events PHP works on at once.
    :ivar backend: asks PHP.
    :ivar timers: sends the events of timers.
    :ivar outgoing: sends the events of outgoing WebSockets.
    :ivar observers: is told of each event that has ended, and tells others.
    :ivar checks: sends check events.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        backend: IBackend,
        replies: Replies,
        policy: RelayPolicy,
        metrics: Metrics,
        ledger: Ledger | None = None,
    ) -> None:
        self._now = reactor.seconds
        self._ledger = ledger or NoLedger()
        self._replies = replies
        self._policy = policy
        self._metrics = metrics
        self.concurrency = policy.concurrency
        self.observers = EventObservers(reactor.seconds, metrics, replies.wall_time)
        breaker = Breaker(reactor, policy.breaker, metrics)
        self.backend = RetryingBackend(reactor, backend, breaker, metrics)
        queue = EventQueue(policy.concurrency, metrics, partial(reactor.callLater, 0))
        timeout = policy.waiting_timeout
        self._stream_limits = StreamLimits(reactor, queue, policy.stream_pause, timeout)
        make_room = self._stream_limits.make_room
        queue.limits = WaitingLimits(
            reactor, queue, policy.max_waiting, timeout, metrics, make_room
        )
        self._queue = queue
        self._overruns = Overruns(reactor, policy.longest_run)
        make_events = partial(
            OwnEvents,
            reactor=reactor,
            queue=queue,
            backend=self.backend,
            overruns=self._overruns,
            handshake=policy.no_client,
            observers=self.observers,
        )
        self.timers = TimerEvents(make_events(replies=replies))
        self.outgoing = make_events(replies=ServerReplies(replies))
        self.checks = CheckEvents(reactor, queue, backend, policy.no_client)
        self._disconnects = DisconnectQueue(
            reactor,
            self.backend,
            replies,
            queue,
            metrics,
            self.observers,
            policy.has_web_server,
            self._ledger,
        )
        self._running: dict[Client, ClientMessage] = {}
        self._context = MessageContext(
            backend=self.backend,
            replies=replies,
            queue=queue,
            stream_limits=self._stream_limits,
            metrics=metrics,
            now=reactor.seconds,
            observers=self.observers,
            running=self._running,
            may_resume=self._resume_if_not_full,
            failed=self._wait_for_script,
            go_on=self._go_on,
        )
        # Close code and reason of clients that have disconnected while an event of theirs runs.
        self._close_codes: dict[Client, tuple[int, str]] = {}
        # Clients whose next event is delayed.
        self._delayed: set[Client] = set()

    @property
    def disconnects_waiting(self) -> int:
        """Return how many clients have disconnected without PHP knowing yet."""
        return len(self._disconnects)

    @property
    def running(self) -> int:
        """Return how many events PHP works on."""
        return self._queue.running

    # What clients do

    def receive(self, client: Client, message: Message) -> None:
        """Take a message from a client.

        Stop reading from its connection while as many messages wait as may wait. Messages of a
        client that has disconnected are dropped.
        """
        if client.is_disconnected:
            return
        metrics = self._metrics
        metrics.messages_received += 1
        metrics.message_bytes_received += len(message.payload)
        message.received_at = self._now()
        client.inbox.append(message)
        if not client.is_busy:
            client.is_busy = True
            self._queue.enqueue(ClientMessage(self._context, client, message.received_at))
        if client.inbox:
            if len(client.inbox) > metrics.inbox_peak:
                metrics.inbox_peak = len(client.inbox)
            if self._is_full(client):
                client.is_paused = True
                client.connection.pause_reading()

    def connect(self, client: Client, event: Event, decide: Callable[[Reply], T]) -> Deferred[T]:
        """Ask PHP whether a client may connect, before any message of it.

        :param event: the event for PHP.
        :param decide: returns what PHP's reply means, or raises a
            :exc:`phpgw.backend.errors.BackendError`.
        :returns: fires with what that returns, or fails with a
            :exc:`phpgw.backend.errors.BackendError`.
        """
        decided: Deferred[T] = Deferred()
        client.is_busy = True
        run = partial(self._run_connect, client, event, decide, decided)
        self._queue.enqueue(DeferredEvent(run, self._queue.handshakes, self._now(), client))
        return decided

    def admit(self, client: Client) -> None:
        """Note that a client has been admitted, so that PHP must be told of its disconnect."""
        if self._policy.reports_disconnects:
            client.reports_disconnect = True
            self._ledger.enter(client)

    def discard_events(self, client: Client) -> None:
        """Drop the waiting messages of a client whose connection is closing."""
        if client.inbox:
            client.inbox.clear()
            self._queue.skip(client)
        if client in self._running:
            self.backend.withdraw(client.id)

    def delay_events(self, client: Client, until: Deferred[None]) -> None:
        """Run no further event of a client until something else has ended.

        :param until: fires when it has ended.
        """
        client.is_busy = True
        self._delayed.add(client)

        def resume(outcome: None) -> None:
            self._delayed.remove(client)
            self._go_on(client)

        until.addBoth(resume)

    def disconnect(self, client: Client, code: int, reason: str) -> None:
        """Tell PHP that a client has disconnected, after the event that runs for it.

        Its waiting messages are dropped.

        :param code: the close code (RFC 6455, sections 7.1.5 and 7.4.1).
        """
        client.is_disconnected = True
        client.inbox.clear()
        if not client.is_busy:
            self._report_disconnect(client, code, reason)
            return
        self._close_codes[client] = code, reason
        if self._queue.skip(client):
            return
        running = self._running.get(client)
        if running is not None and running.pending.is_streamed:
            running.asked.cancel()
        else:
            self.backend.withdraw(client.id)

    def adopt_disconnect(self, client: Client, code: int, reason: str) -> None:
        """Tell PHP of a disconnect in place of another process, which was to do so.

        :param client: a client of that process, in the ledger of this one.
        """
        client.is_disconnected = client.reports_disconnect = True
        self._report_disconnect(client, code, reason)

    # What the gateway does

    def set_concurrency(self, count: int) -> None:
        """Change how many events PHP works on at once, up to :attr:`concurrency`.

        Running events go on. The time that the others have waited so far does not count for their
        timeout.
        """
        self._queue.set_concurrency(count)

    def when_none_running(self) -> Deferred[None]:
        """Return a Deferred that fires when PHP works on no event; events may wait."""
        return self._queue.when_none_running()

    def lift_disconnect_limit(self) -> None:
        """Tell PHP of disconnects as fast as possible, also while a client's last script runs."""
        self._overruns.stop()
        self._queue.lift_disconnect_limit()

    def when_idle(self) -> Deferred[None]:
        """Return a Deferred that fires when no event waits or runs."""
        return Deferred.fromCoroutine(self._become_idle())

    async def _become_idle(self) -> None:
        await self._queue.when_idle()
        await self._disconnects.when_empty()
        await self._queue.when_idle()

    # Messages

    def _is_full(self, client: Client) -> bool:
        """Return whether no further message of a client may wait."""
        inbox = client.inbox
        size = 0
        for message in inbox:
            size += len(message.payload)
        return len(inbox) >= self._policy.inbox_count or size >= self._policy.inbox_size

    def _resume_if_not_full(self, client: Client) -> None:
        """Read from a client again, since a message has been taken from its inbox."""
        if not self._is_full(client):
            client.is_paused = False
            client.connection.resume_reading()

    def _wait_for_script(self, client: Client, failure: Failure) -> None:
        """Delay the events of a client whose message has failed while its script still runs."""
        ended = self._overruns.until_ended(failure)
        if ended is not None:
            self.delay_events(client, ended)

    def _go_on(self, client: Client, was_asked: bool = True) -> None:
        """Queue the next event of a client, since the previous one has ended.

        :param was_asked: whether PHP was asked. If it was not, the next message has been waiting
            since it was received.
        """
        if client in self._delayed:
            return
        if client.inbox:
            since = self._now() if was_asked else client.inbox[0].received_at
            self._queue.requeue(ClientMessage(self._context, client, since))
        else:
            client.is_busy = False
            if client.is_disconnected:
                self._report_disconnect(client, *self._close_codes.pop(client))

    def _report_disconnect(self, client: Client, code: int, reason: str) -> None:
        """Tell PHP of a disconnect, if it must be told."""
        if client.reports_disconnect:
            self._disconnects.add(client, code, reason)
        else:
            client.is_finished = True
            if self._policy.reports_disconnects:
                self._ledger.settle(client)

    # Handshakes

    def _run_connect(
        self,
        client: Client,
        event: Event,
        decide: Callable[[Reply], T],
        decided: Deferred[T],
        queued: QueuedEvent,
        error: BackendError | None,
    ) -> Deferred[Any] | None:
        """Ask PHP whether a client may connect; with an error, fail in the same way."""

        def replied(reply: Reply) -> T:
            queued.reply, queued.replied_at = reply, self._now()
            return decide(reply)

        def end(outcome: T | Failure) -> None:
            if isinstance(outcome, Failure):
                queued.failure = outcome
                self.observers.ended(queued, event)
                decided.errback(outcome)
            else:
                self.observers.ended(queued, event)
                decided.callback(outcome)
            self._go_on(client)

        if client.is_disconnected:
            end(Failure(ClientDisconnected("the client has left")))
            return None
        queued.asked_at = None if error else self._now()
        if self._policy.reports_disconnects and error is None:
            # PHP may let the client in, and the gateway may die before it knows.
            self._ledger.enter(client)
        asked = fail(error) if error else self.backend.ask(event, is_wanted=client.is_connected)
        asked.addCallback(replied)
        return asked.addBoth(end)
