"""The clients by id, by group and by user, in each state of their connections."""

from collections.abc import Collection, Iterator
from weakref import WeakValueDictionary

import attrs

from phpgw.hub.client import Client


class ClientIdTaken(Exception):
    """Another client with this id is connected."""


class Index:
    """Clients by a name that several of them can share; a name exists while it has a client.

    Only the registry changes it.
    """

    def __init__(self) -> None:
        # The inner dicts are sets that keep the order in which clients were added.
        self._members: dict[str, dict[Client, None]] = {}

    def names(self) -> Collection[str]:
        """Return a live view of the names; copy it to keep it."""
        return self._members.keys()

    def members(self, name: str) -> list[Client]:
        """Return the clients under a name, in the order in which they were added."""
        return list(self._members.get(name, ()))

    def size(self, name: str) -> int:
        """Return how many clients are under a name."""
        return len(self._members.get(name, ()))

    def add(self, name: str, client: Client) -> None:
        """Add a client to a name; it may be there already."""
        self._members.setdefault(name, {})[client] = None

    def discard(self, name: str, client: Client) -> None:
        """Remove a client from a name that it is under."""
        members = self._members[name]
        del members[client]
        if not members:
            del self._members[name]


class Registry:
    """The clients that can be found, and those whose groups, user and state can still be changed.

    A *pending* client, whose handshake has no response yet, is found only by its id. An *open*
    client is found in every way. A *closing* client is not found, but no other client may have its
    id. When it has *disconnected*, its id is free, too. The groups, the user and the state of a
    client can be changed in each of these states, until PHP has been told that it disconnected.

    :ivar groups: the groups of open clients.
    :ivar users: the users of open clients.
    :ivar removals: how many clients could be found once and cannot any longer. If it has not
        changed, all clients in a list that was made before can still be found.
    """

    def __init__(self, groups: Index | None = None, users: Index | None = None) -> None:
        self.groups = Index() if groups is None else groups
        self.users = Index() if users is None else users
        self.removals = 0
        self._open: dict[str, Client] = {}
        self._pending: dict[str, Client] = {}
        self._closing: dict[str, Client] = {}
        # Each as long as one of its events waits or runs.
        self._disconnected: WeakValueDictionary[str, Client] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Client]:
        """Iterate over a copy of the open clients, so that clients may connect or disconnect."""
        return iter(self.clients())

    def clients(self) -> list[Client]:
        """Return the open clients, in the order in which they were opened."""
        return list(self._open.values())

    def find(self, client_id: str) -> Client | None:
        """Return the open or pending client with this id; ``None`` if there is none."""
        return self._open.get(client_id) or self._pending.get(client_id)

    def groups_of(self, client_id: str) -> frozenset[str]:
        """Return the groups of the open or pending client with this id; none if there is none."""
        client = self.find(client_id)
        return frozenset() if client is None else client.groups

    def find_disconnected(self, client_id: str) -> Client | None:
        """Return the client that last had this id, unless PHP knows that it disconnected."""
        client = self._closing.get(client_id) or self._disconnected.get(client_id)
        return None if client is None or client.is_finished else client

    def add_pending(self, client: Client) -> None:
        """Add a pending client.

        :raises ClientIdTaken: if another one has its id. (A peer's address is unique for one
            listening port; two ports can have peers with the same one.)
        """
        self._check_id(client)
        self._pending[client.id] = client

    def add(self, client: Client) -> None:
        """Add an open client, which may have been pending.

        :raises ClientIdTaken: if another one has its id.
        """
        if self._pending.get(client.id) is client:
            # No other client can have got its id.
            del self._pending[client.id]
        else:
            self._check_id(client)
        self._open[client.id] = client
        for group in client.groups:
            self.groups.add(group, client)
        if client.identity.user is not None:
            self.users.add(client.identity.user, client)

    def close(self, client: Client) -> None:
        """Make a client a closing one: it is not found, but keeps its id."""
        if self._hide(client):
            self._closing[client.id] = client

    def remove(self, client: Client) -> None:
        """Make a client a disconnected one, and free its id."""
        if self._closing.get(client.id) is client:
            del self._closing[client.id]
        elif not self._hide(client):
            return
        self._disconnected[client.id] = client

    def join(self, client: Client, group: str) -> None:
        """Add a client to a group; it may be in it already."""
        if group not in client.groups:
            client.groups |= {group}
            if self._is_open(client):
                self.groups.add(group, client)

    def leave(self, client: Client, group: str) -> None:
        """Remove a client from a group; it need not be in it."""
        if group in client.groups:
            client.groups -= {group}
            if self._is_open(client):
                self.groups.discard(group, client)

    def bind(self, client: Client, user: str | None) -> None:
        """Set a client's user; ``None`` removes it."""
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
        name = client.id
        if name in self._open or name in self._pending or name in self._closing:
            raise ClientIdTaken(name)

    def _hide(self, client: Client) -> bool:
        """Make a client impossible to find; return false if it could not be found before."""
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
