"""The events of one upstream that wait for PHP."""

from collections import OrderedDict
from collections.abc import Hashable
from itertools import count

import attrs

from phpgw.backend.event import Event
from phpgw.hub.client import Client


@attrs.frozen(kw_only=True)
class InboxLimits:
    """The limits on events that wait.

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
    :ivar dropped: how many events with the same key it has taken the place of.
    """

    event: Event
    client: Client | None
    dropped: int = 0


class EventInbox:
    """A first-in, first-out queue with limits."""

    def __init__(self, limits: InboxLimits) -> None:
        self._limits = limits
        # In the order in which the first event with each key has come.
        self._events: OrderedDict[Hashable, WaitingEvent] = OrderedDict()
        self._numbers = count()
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

    def add(self, event: Event, client: Client | None, key: str | None = None) -> bool:
        """Add an event; there is always room for one.

        :param key: the event takes the place of one that waits with the same key; ``None`` for no
            key.
        :returns: whether it has taken the place of one.
        """
        place: Hashable = next(self._numbers) if key is None else key
        before = self._events.get(place)
        self._size += len(event.message)
        if before is None:
            self._events[place] = WaitingEvent(event, client)
            return False
        self._size -= len(before.event.message)
        self._events[place] = WaitingEvent(event, client, before.dropped + 1)
        return True

    def take(self) -> WaitingEvent:
        """Remove and return the first event."""
        _, first = self._events.popitem(last=False)
        self._size -= len(first.event.message)
        return first
