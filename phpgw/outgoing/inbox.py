"""The events of one upstream that wait for PHP."""

from collections import deque

import attrs

from phpgw.backend.event import Event
from phpgw.hub.client import Client


@attrs.frozen(kw_only=True)
class InboxLimits:
    """How much may wait.

    :ivar count: events from which on the server is no longer read as fast as it sends.
    :ivar size: bytes of messages from which on the same holds.
    :ivar max_count: events beyond which the connection is closed.
    :ivar max_size: bytes beyond which the connection is closed.
    """

    count: int
    size: int
    max_count: int
    max_size: int


@attrs.frozen
class WaitingEvent:
    """An event that waits for PHP.

    :ivar client: gets what PHP prints; ``None`` for nobody.
    """

    event: Event
    client: Client | None


class EventInbox:
    """A first-in, first-out queue with limits."""

    def __init__(self, limits: InboxLimits) -> None:
        self._limits = limits
        self._events: deque[WaitingEvent] = deque()
        self._size = 0

    def __len__(self) -> int:
        return len(self._events)

    @property
    def is_full(self) -> bool:
        """Return whether the server is not to be read as fast as it sends."""
        return len(self._events) >= self._limits.count or self._size >= self._limits.size

    @property
    def is_exceeded(self) -> bool:
        """Return whether more waits than may."""
        return len(self._events) > self._limits.max_count or self._size > self._limits.max_size

    def add(self, event: Event, client: Client | None) -> None:
        """Add an event; there is always room for one."""
        self._events.append(WaitingEvent(event, client))
        self._size += len(event.message)

    def take(self) -> WaitingEvent:
        """Remove and return the first event."""
        first = self._events.popleft()
        self._size -= len(first.event.message)
        return first
