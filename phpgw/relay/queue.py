"""A concurrency limit with a fair queue: PHP runs a limited number of events at once.

Messages may use the whole limit. Streamed replies, handshakes and disconnects could delay them, so
each of these has a queue of its own and a limited share.
"""

from collections import Counter, deque
from collections.abc import Callable, Hashable
from itertools import islice
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from phpgw.backend.errors import BackendError
from phpgw.hub.client import Client
from phpgw.log_limit import line_limit
from phpgw.metrics import Metrics
from phpgw.relay.fifo import Fifo, QueuedEvent, RoundRobinFifo
from phpgw.web.addresses import network_of

CallLater = Callable[[Callable[[], None]], object]

# How many events beyond the limit may run in one reactor turn if each ends at once: about 6 ms.
_MAX_PER_REACTOR_TURN = 100


class QueueLimits(Protocol):
    """Limits on the number and the time of waiting events; see :mod:`phpgw.relay.overload`."""

    def check(self, event: QueuedEvent) -> BackendError | None:
        """Return the error that refuses an event that would have to wait; ``None`` to queue it."""

    def watch(self) -> None:
        """Check the waiting times until no event waits."""

    def restart(self) -> None:
        """Count waiting times from now on."""


class _Unlimited:
    """No limits: any number of events may wait, for any time."""

    def check(self, event: QueuedEvent) -> None:
        """Refuse no event."""

    def watch(self) -> None:
        """Do nothing."""

    def restart(self) -> None:
        """Do nothing."""


class EventQueue:
    """A concurrency limit with a fair queue.

    :param call_later: makes a call in the next reactor turn. While the circuit breaker is open,
        events end as soon as they run; then only a limited number of them run in one reactor turn.
    :ivar limit: how many events run at once.
    :ivar limits: limits the waiting events.
    :ivar messages: the queue that may use the whole limit, and every other free place in any case.
    :ivar streams: the queue of messages whose reply is expected to be streamed. It leaves a quarter
        of the limit to the others, and at least one place if the limit is above one.
    :ivar handshakes: the queue that may use half of the limit; networks take turns in it.
    :ivar disconnects: the low-priority queue, which may use a quarter of the limit.
    :ivar waiting: how many events wait, without disconnects.
    """

    log = Logger(observer=line_limit)

    def __init__(self, limit: int, metrics: Metrics, call_later: CallLater | None = None) -> None:
        self.limit = self._allowed = limit
        self.limits: QueueLimits = _Unlimited()
        self._metrics = metrics
        self._call_later = call_later
        # What handshakes and disconnects together, or streams, leave to messages.
        self._reserve = max(1, limit // 4)
        self.messages = Fifo(limit)
        self.streams = Fifo(max(1, limit - self._reserve))
        self.handshakes = RoundRobinFifo(max(1, limit // 2))
        self.disconnects = Fifo(max(1, limit // 4))
        self.waiting = 0
        # All queues but that of messages; the one that was served last is at the end.
        self._others = deque((self.disconnects, self.handshakes, self.streams))
        self._others_waiting = 0
        self._networks: Counter[Hashable] = Counter()
        self._by_client: dict[Client, QueuedEvent] = {}
        self._running = 0
        self._last_served = self.messages
        self._disconnects_are_unlimited = False
        self._is_starting = False
        # Whether the next events run in the next reactor turn.
        self._is_deferred = False
        self._idle_waiters: list[Deferred[None]] = []
        self._none_running_waiters: list[Deferred[None]] = []

    @property
    def running(self) -> int:
        """Return how many events run."""
        return self._running

    @property
    def is_held(self) -> bool:
        """Return whether no event may run at all."""
        return not self._allowed

    @property
    def is_full(self) -> bool:
        """Return whether as many events run as may run at once."""
        return self._running >= self._allowed

    @property
    def excess_streams(self) -> int:
        """Return how many streams run beyond their share."""
        return max(0, self.streams.running - (self.limit - self._reserve))

    def waiting_from(self, network: Hashable) -> int:
        """Return how many events wait that are counted for a network."""
        return self._networks[network]

    def enqueue(self, event: QueuedEvent) -> None:
        """Run an event as soon as it is its turn, perhaps at once.

        Its ``run`` is called with an error instead if too many events wait, or if it waits too
        long.
        """
        if self.waiting or self._running >= self._allowed:
            if event.client is not None:
                event.network = network_of(event.client.handshake.peer_host)
            error = self.limits.check(event)
            if error is not None:
                event.refuse(error)
                return
            self._wait(event)
        else:
            self._run_or_wait(event)

    def requeue(self, event: QueuedEvent) -> None:
        """Enqueue the next event of a client whose previous one has ended.

        It keeps the place of that one, so it is never refused for the number of waiting events.
        """
        if self.waiting or self._running >= self._allowed:
            if event.client is not None:
                event.network = network_of(event.client.handshake.peer_host)
            self._wait(event)
        else:
            self._run_or_wait(event)

    def enqueue_low_priority(self, event: QueuedEvent) -> None:
        """Enqueue a disconnect. It is never refused, and may wait for any time."""
        if self.waiting or self._running >= self._allowed:
            self._add(event)
            self._run_next()
        else:
            self._run_or_wait(event)

    def ended(self, event: QueuedEvent) -> None:
        """Free the place of an event, if it has one, and run what waits."""
        if not event.is_running:
            return
        event.is_running = False
        event.fifo.running -= 1
        self._running -= 1
        self._run_next()

    def cancel(self, event: QueuedEvent) -> None:
        """Remove a waiting event. Its ``run`` is not called."""
        event.fifo.remove(event)
        self._removed(event)

    def skip(self, client: Client) -> bool:
        """Call ``run`` of a client's waiting event out of turn, since nothing is left to do for it.

        So the queue is not full of events of clients that have disconnected.

        :returns: false if no event of the client waits.
        """
        event = self._by_client.get(client)
        if event is None:
            return False
        self.cancel(event)
        event.run(self)
        return True

    def cancel_overdue(self, since: float, max_count: int) -> list[QueuedEvent]:
        """Remove and return events that have waited since before a time.

        Disconnects may wait for any time, and streams while they only wait for the share of
        streams.

        :param max_count: how many to remove at most.
        """
        fifos: list[Fifo] = [self.messages, self.handshakes]
        if self.is_full:
            fifos.append(self.streams)
        late = (event for fifo in fifos for event in fifo if event.waiting_since < since)
        overdue = list(islice(late, max_count))
        for event in overdue:
            self.cancel(event)
        return overdue

    def has_waited_since(self, time: float) -> bool:
        """Return whether a message or handshake has waited since before a time."""
        first = (next(iter(fifo), None) for fifo in (self.messages, self.handshakes))
        return any(event is not None and event.waiting_since < time for event in first)

    def count_as_stream(self, event: QueuedEvent) -> None:
        """Count a running event for the share of streams from now on."""
        event.fifo.running -= 1
        event.fifo = self.streams
        event.fifo.running += 1

    def lift_disconnect_limit(self) -> None:
        """Let disconnects use the whole limit from now on."""
        self._disconnects_are_unlimited = True
        self.disconnects.limit = self.limit
        self._run_next()

    def set_concurrency(self, count: int) -> None:
        """Change how many events run at once, up to :attr:`limit`.

        Running events go on. The time that the others have waited so far does not count for their
        timeout.
        """
        self.limits.restart()
        self._allowed = min(count, self.limit)
        self._run_next()

    def when_none_running(self) -> Deferred[None]:
        """Return a Deferred that fires when no event runs; events may wait."""
        none_running: Deferred[None] = Deferred()
        self._none_running_waiters.append(none_running)
        self._notify()
        return none_running

    def when_idle(self) -> Deferred[None]:
        """Return a Deferred that fires when no event waits or runs."""
        idle: Deferred[None] = Deferred()
        self._idle_waiters.append(idle)
        self._notify()
        return idle

    # Waiting

    def _wait(self, event: QueuedEvent) -> None:
        """Add an event to its queue, and run what may run."""
        self._add(event)
        if self._running < self._allowed:
            self._run_next()
        if self.waiting:
            self.limits.watch()

    def _add(self, event: QueuedEvent) -> None:
        """Add an event to its queue, and count it."""
        fifo = event.fifo
        fifo.add(event)
        if fifo is not self.messages:
            self._others_waiting += 1
        if fifo is not self.disconnects:
            self.waiting += 1
            self._metrics.events_waiting_now += 1
        if event.network is not None:
            self._networks[event.network] += 1
        if event.client is not None:
            self._by_client[event.client] = event

    def _removed(self, event: QueuedEvent) -> None:
        """Stop counting an event that has been taken from its queue."""
        fifo = event.fifo
        if fifo is not self.messages:
            self._others_waiting -= 1
        if fifo is not self.disconnects:
            self.waiting -= 1
            self._metrics.events_waiting_now -= 1
        if event.network is not None:
            self._networks[event.network] -= 1
            if not self._networks[event.network]:
                del self._networks[event.network]
        if event.client is not None:
            del self._by_client[event.client]

    # Running

    def _run_or_wait(self, event: QueuedEvent) -> None:
        """Run an event at once if there is a place for it; this is a short cut past the queues."""
        fifo = event.fifo
        if self._others_waiting or self._is_starting or self._is_deferred:
            self._wait(event)
            return
        if fifo is not self.messages:
            if not self._has_share(fifo):
                self._wait(event)
                return
            self._move_last(fifo)
        self._is_starting = True
        self._run(event)
        self._is_starting = False
        self._run_next()

    def _run_next(self) -> None:
        """Run waiting events up to the limit."""
        if self._is_starting or self._is_deferred:
            # An event that ends as soon as it runs, like a refused connection, must not recurse.
            return
        self._is_starting = True
        left = self.limit + _MAX_PER_REACTOR_TURN
        while self._running < self._allowed and (self.waiting or self._others_waiting):
            fifo = self._next_fifo() if self._others_waiting else self.messages
            if fifo is None:
                break
            if not left and self._call_later is not None:
                self._is_deferred = True
                self._call_later(self._run_deferred)
                break
            left -= 1
            event = fifo.pop()
            self._removed(event)
            self._run(event)
        self._is_starting = False
        if self._none_running_waiters or self._idle_waiters:
            self._notify()

    def _run_deferred(self) -> None:
        self._is_deferred = False
        self._run_next()

    def _run(self, event: QueuedEvent) -> None:
        """Run an event, which takes a place until it has ended."""
        event.is_running = True
        event.fifo.running += 1
        self._running += 1
        try:
            is_begun = event.run(self)
        except Exception:
            # Its place must not stay taken, or all others would wait for ever.
            self.log.failure("A turn could not begin")
            is_begun = False
        if is_begun:
            self._last_served = event.fifo
        elif event.is_running:
            event.is_running = False
            event.fifo.running -= 1
            self._running -= 1

    def _next_fifo(self) -> Fifo | None:
        """Return the queue to serve next, where others than messages wait; ``None`` for none."""
        messages = self.messages
        if not (messages and self._last_served is not messages):
            for fifo in self._others:
                if fifo and self._has_share(fifo):
                    self._move_last(fifo)
                    return fifo
        return messages if messages else None

    def _move_last(self, fifo: Fifo) -> None:
        """Let the other queues go first next time."""
        self._others.remove(fifo)
        self._others.append(fifo)

    def _has_share(self, fifo: Fifo) -> bool:
        """Return whether one more event of a kind other than messages may run."""
        if fifo.running >= fifo.limit:
            return False
        if fifo is self.streams or self._disconnects_are_unlimited:
            return True
        short = self.handshakes.running + self.disconnects.running
        return short < max(1, self.limit - self._reserve - self.streams.running)

    def _notify(self) -> None:
        """Fire the Deferreds whose condition is met."""
        if not (self._is_starting or self._running):
            _fire(self._none_running_waiters)
        if not (self._is_starting or self._running or self.waiting or self._others_waiting):
            _fire(self._idle_waiters)


def _fire(waiters: list[Deferred[None]]) -> None:
    """Fire Deferreds; callbacks may add others for later."""
    fired = waiters.copy()
    waiters.clear()
    for waiter in fired:
        waiter.callback(None)
