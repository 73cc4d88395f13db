"""FIFO queues of events of one kind, with the share of the concurrency limit that they may take."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from phpgw.backend.errors import BackendError
from phpgw.hub.client import Client

# Runs an event. The Deferred fires when it has ended; None means that there is nothing left to do.
# If it is called with an error, the event must fail with that error instead.
Run = Callable[["QueuedEvent", BackendError | None], Deferred[Any] | None]


@attrs.define(eq=False)
class QueuedEvent:
    """An event for PHP, from when it is queued until it has ended.

    :ivar run: called once, with this event, and ``None`` to run it or the error that it fails with.
    :ivar fifo: the queue of its kind.
    :ivar waiting_since: when it began to wait, in seconds of the reactor's clock.
    :ivar client: the client that it is about; ``None`` for timers and disconnects.
    :ivar network: the network that it is counted for while it waits; ``None`` for no network.
    """

    run: Run
    fifo: "Fifo"
    waiting_since: float = 0.0
    client: Client | None = None
    network: Hashable = None


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
