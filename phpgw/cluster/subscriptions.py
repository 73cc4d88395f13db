"""Subscribes to the groups and users that have a client here: so the others find them."""

from collections import deque
from collections.abc import Callable

from twisted.internet.defer import Deferred

from phpgw.bus.interface import Bus
from phpgw.hub.client import Client
from phpgw.hub.registry import Index


class Subscriptions:
    """The subscriptions for groups and users, and whether they are in force."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        # How many were begun, and how many of these have an outcome. Outcomes come in order.
        self._begun = self._settled = 0
        # Whether one has failed since the last connection.
        self._has_failed = False
        # Those who wait for the outcomes of the first so many.
        self._waiters: deque[tuple[int, Deferred[bool]]] = deque()
        bus.observers.append(self)

    def begin(self, channel: bytes) -> None:
        """Subscribe to a channel."""
        self._begun += 1
        self._bus.subscribe(channel).addCallbacks(self._succeeded, self._failed)

    def end(self, channel: bytes) -> None:
        """Unsubscribe from a channel."""
        self._bus.unsubscribe(channel)

    def are_in_force(self) -> bool | Deferred[bool]:
        """Return whether the other nodes find all that is here now.

        :returns: a Deferred if some subscriptions are under way. Those that begin later are not
            waited for: there may be no end of them.
        """
        if self._settled == self._begun:
            return not self._has_failed
        waiter: Deferred[bool] = Deferred()
        self._waiters.append((self._begun, waiter))
        return waiter

    # phpgw.bus.interface.BusObserver

    def connected(self) -> None:
        """Note that all subscriptions are in force."""
        self._has_failed = False

    def lost(self, reason: str) -> None:
        """Note that none is in force."""
        self._has_failed = True

    def received(self, channel: bytes, frame: bytes) -> None:
        """Do nothing: that is for others."""

    def _succeeded(self, _: None) -> None:
        self._settle()

    def _failed(self, _: object) -> None:
        self._has_failed = True
        self._settle()

    def _settle(self) -> None:
        self._settled += 1
        while self._waiters and self._waiters[0][0] <= self._settled:
            _, waiter = self._waiters.popleft()
            waiter.callback(not self._has_failed)


class SubscribedIndex(Index):
    """An index that subscribes to a name when its first client comes, until its last one goes.

    :param channel: returns the channel of a name.
    """

    def __init__(self, subscriptions: Subscriptions, channel: Callable[[str], bytes]) -> None:
        super().__init__()
        self._subscriptions = subscriptions
        self._channel = channel

    def add(self, name: str, client: Client) -> None:
        """Add a client to a name; it may be there already."""
        if not self.size(name):
            self._subscriptions.begin(self._channel(name))
        super().add(name, client)

    def discard(self, name: str, client: Client) -> None:
        """Remove a client from a name that it is under."""
        super().discard(name, client)
        if not self.size(name):
            self._subscriptions.end(self._channel(name))
