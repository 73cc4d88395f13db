"""Which clients there are, and in which state: by id, by group, by user."""

from collections.abc import Collection, Iterator
from weakref import WeakValueDictionary

import attrs

from phpgw.hub.client import Client


class ClientIdTaken(Exception):
    """A client with this id is connected already."""


class Index:
    """Clients by a name that several can share; a name is there as long as it has a client.

    Only the registry changes it.
    """

    def __init__(self) -> None:
        # The inner ones are sets that keep the order in which clients came.
        self._members: dict[str, dict[Client, None]] = {}

    def names(self) -> Collection[str]:
        """All names, as they are at any time; not to be kept."""
        return self._members.keys()

    def members(self, name: str) -> list[Client]:
        """The clients under a name, in the order in which they came to it."""
        return list(self._members.get(name, ()))

    def size(self, name: str) -> int:
        """How many clients are under a name."""
        return len(self._members.get(name, ()))

    def add(self, name: str, client: Client) -> None:
        """Put a client under a name; it may be there already."""
        self._members.setdefault(name, {})[client] = None

    def discard(self, name: str, client: Client) -> None:
        """Take a client away from a name that it is under."""
        members = self._members[name]
        del members[client]
        if not members:
            del self._members[name]


class Registry:
    """The clients: those that can be reached, and those that have left and may still be noted on.

    A *pending* client, whose handshake has yet to be answered, is found by its id alone. An *open*
    one is found in every way. A *closing* one is not found, though nobody else may have its id; one
    that has *left* has given that free, too. What is noted on a client (its user, its state, its
    groups) counts in each of these states until PHP has been told that it has left.

    :ivar groups: those that have an open client.
    :ivar users: likewise.
    :ivar removals: how many clients have ceased to be found, so that whoever holds a list of some
        knows whether all of them still can be.
    """

    def __init__(self) -> None:
        self.groups = Index()
        self.users = Index()
        self.removals = 0
        self._open: dict[str, Client] = {}
        self._pending: dict[str, Client] = {}
        self._closing: dict[str, Client] = {}
        # Each as long as an event of it is under way, or has yet to be told.
        self._left: WeakValueDictionary[str, Client] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Client]:
        """All open clients, safe against clients that leave or come meanwhile."""
        return iter(list(self._open.values()))

    def find(self, client_id: str) -> Client | None:
        """The client with this id, if it can be sent something: an open or a pending one."""
        return self._open.get(client_id) or self._pending.get(client_id)

    def find_disconnected(self, client_id: str) -> Client | None:
        """The client that had this id last, if PHP has yet to be told that it has left."""
        client = self._closing.get(client_id) or self._left.get(client_id)
        return None if client is None or client.is_finished else client

    def add_pending(self, client: Client) -> None:
        """Make a client reachable by its id alone.

        :raises ClientIdTaken: if another one has its id. (A peer address is unique for one
            listening port; two ports can meet the same one.)
        """
        self._check_id(client)
        self._pending[client.id] = client

    def add(self, client: Client) -> None:
        """Make a client, which may be pending, reachable in every way.

        :raises ClientIdTaken: if another one has its id.
        """
        if self._pending.get(client.id) is client:
            del self._pending[client.id]
        self._check_id(client)
        self._open[client.id] = client
        for group in client.groups:
            self.groups.add(group, client)
        if client.identity.user is not None:
            self.users.add(client.identity.user, client)

    def close(self, client: Client) -> None:
        """Make a client unreachable. Its id stays its own."""
        if self._take_out(client):
            self._closing[client.id] = client

    def remove(self, client: Client) -> None:
        """Forget a client, but for what is noted on it; not another that has its id by now."""
        if self._closing.get(client.id) is client:
            del self._closing[client.id]
        elif not self._take_out(client):
            return
        self._left[client.id] = client

    def join(self, client: Client, group: str) -> None:
        """Put a client into a group; it may be there already."""
        if group not in client.groups:
            client.groups |= {group}
            if self._is_open(client):
                self.groups.add(group, client)

    def leave(self, client: Client, group: str) -> None:
        """Take a client out of a group; it need not be in it."""
        if group in client.groups:
            client.groups -= {group}
            if self._is_open(client):
                self.groups.discard(group, client)

    def bind(self, client: Client, user: str | None) -> None:
        """Make a client one of this user's, and of no other; ``None`` for nobody's."""
        before = client.identity.user
        if user == before:
            return
        client.identity = attrs.evolve(client.identity, user=user)
        if self._is_open(client):
            if before is not None:
                self.users.discard(before, client)
            if user is not None:
                self.users.add(user, client)

    def _is_open(self, client: Client) -> bool:
        return self._open.get(client.id) is client

    def _check_id(self, client: Client) -> None:
        if any(client.id in each for each in (self._open, self._pending, self._closing)):
            raise ClientIdTaken(client.id)

    def _take_out(self, client: Client) -> bool:
        """Take a client out of all that makes it reachable; false if it was not there."""
        if self._pending.get(client.id) is client:
            self.removals += 1
            del self._pending[client.id]
            return True
        if not self._is_open(client):
            return False
        self.removals += 1
        del self._open[client.id]
        for group in client.groups:
            self.groups.discard(group, client)
        if client.identity.user is not None:
            self.users.discard(client.identity.user, client)
        return True
