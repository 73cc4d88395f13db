"""Events that wait, and FIFO queues of one kind of them, each with its share of the limit."""

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.backend.errors import BackendError
from phpgw.backend.reply import Reply
from phpgw.hub.client import Client
from phpgw.log_limit import line_limit


class QueuedEvent(ABC):
    """An event for PHP, from when it is queued until it has ended.

    :ivar fifo: the queue of its kind.
    :ivar waiting_since: when it began to wait, in seconds of the reactor's clock.
    :ivar client: the client that it is about; ``None`` for timers and disconnects.
    :ivar network: the network that it is counted for while it waits; ``None`` for no network.
    :ivar is_running: whether it takes a place of its queue; only the queue changes it.
    :ivar began_at: when it began, in seconds of the reactor's clock. A message may have waited for
        the one before, and a disconnect for PHP to be back, before they were queued.
    :ivar asked_at: when PHP was asked; ``None`` if it was not.
    :ivar replied_at: when PHP's reply was complete; ``None`` if it was not.
    :ivar reply: that reply.
    :ivar failure: why the event has failed, if it has.
    """

    __slots__ = (
        *("asked_at", "began_at", "client", "failure", "fifo"),
        *("is_running", "network", "replied_at", "reply", "waiting_since"),
    )

    log = Logger(observer=line_limit)

    def __init__(
        self,
        fifo: "Fifo",
        waiting_since: float = 0.0,
        client: Client | None = None,
        network: Hashable = None,
    ) -> None:
        self.fifo = fifo
        self.waiting_since = waiting_since
        self.client = client
        self.network = network
        self.is_running = False
        self.began_at = waiting_since
        self.asked_at: float | None = None
        self.replied_at: float | None = None
        self.reply: Reply | None = None
        self.failure: Failure | None = None

    @abstractmethod
    def run(self, queue: "Places") -> bool:
        """Begin to run.

        :param queue: is told when the event has ended.
        :returns: whether it has been told, or will be; false if there is nothing left to do.
        """

    @abstractmethod
    def refuse(self, error: BackendError) -> None:
        """Fail with an error, in place of :meth:`run`."""

    def log_failure(self, failure: Failure) -> None:
        """Log an error in the gateway itself."""
        self.log.failure("A turn came to a bad end", failure)


class DeferredEvent(QueuedEvent):
    """An event for PHP that a function runs.

    :param call: called once, with this event, and ``None`` to run it or the error that it fails
        with. It returns a Deferred that fires when the event has ended, or ``None`` if there is
        nothing left to do.
    """

    __slots__ = ("_call",)

    def __init__(
        self,
        call: Callable[[QueuedEvent, BackendError | None], Deferred[Any] | None],
        fifo: "Fifo",
        waiting_since: float = 0.0,
        client: Client | None = None,
        network: Hashable = None,
    ) -> None:
        super().__init__(fifo, waiting_since, client, network)
        self._call = call

    def run(self, queue: "Places") -> bool:
        """See :class:`QueuedEvent`."""
        running = self._call(self, None)
        if running is None:
            return False
        running.addErrback(self.log_failure)
        running.addCallback(lambda _: queue.ended(self))
        return True

    def refuse(self, error: BackendError) -> None:
        """See :class:`QueuedEvent`."""
        self._call(self, error)


class Places(Protocol):
    """The places in which events run, each in its own."""

    def ended(self, event: QueuedEvent) -> None:
        """Free the place of an event, if it has one, and run what waits."""


class Fifo:
    """A first-in, first-out queue; any event can be removed from it.

    :ivar limit: how many events of this kind may run at once.
    :ivar running: how many run now.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.running = 0
        self._events: OrderedDict[QueuedEvent, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._events)

    def __iter__(self) -> Iterator[QueuedEvent]:
        return iter(self._events)

    def add(self, event: QueuedEvent) -> None:
        """Append an event."""
        self._events[event] = None

    def remove(self, event: QueuedEvent) -> None:
        """Remove an event from any position."""
        del self._events[event]

    def pop(self) -> QueuedEvent:
        """Remove and return the next event."""
        return self._events.popitem(last=False)[0]


class RoundRobinFifo(Fifo):
    """A queue that serves the networks in turn, and the events of each network in order."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._networks: OrderedDict[Hashable, OrderedDict[QueuedEvent, None]] = OrderedDict()

    def waiting_from(self, network: Hashable) -> int:
        """Return how many events wait that are counted for a network; 0 if it is ``None``."""
        return 0 if network is None else len(self._networks.get(network, ()))

    def add(self, event: QueuedEvent) -> None:
        """Append an event to those of its network."""
        super().add(event)
        self._networks.setdefault(event.network, OrderedDict())[event] = None

    def remove(self, event: QueuedEvent) -> None:
        """Remove an event from any position."""
        super().remove(event)
        del self._networks[event.network][event]
        if not self._networks[event.network]:
            del self._networks[event.network]

    def pop(self) -> QueuedEvent:
        """Remove and return the first event of the next network."""
        network, events = next(iter(self._networks.items()))
        event = next(iter(events))
        self._networks.move_to_end(network)
        self.remove(event)
        return event
