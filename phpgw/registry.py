"""Which clients there are: by id, by group, by user."""

from collections.abc import Collection, Iterator

import attrs

from phpgw.client import Client


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
    """The connected clients.

    :ivar groups: those that have a client.
    :ivar users: likewise.
    """

    def __init__(self) -> None:
        self.groups = Index()
        self.users = Index()
        self._clients: dict[str, Client] = {}

    def __len__(self) -> int:
        return len(self._clients)

    def __iter__(self) -> Iterator[Client]:
        """All clients, safe against clients that leave or come meanwhile."""
        return iter(list(self._clients.values()))

    def ids(self) -> Collection[str]:
        """The ids of all clients, as they are at any time; not to be kept."""
        return self._clients.keys()

    def find(self, client_id: str) -> Client | None:
        """The client with this id, if it is connected."""
        return self._clients.get(client_id)

    def add(self, client: Client) -> None:
        """Make a client reachable, by its id and by its user if it has one.

        :raises ClientIdTaken: if another one has its id. (A peer address is unique for one
            listening port; two ports can meet the same one.)
        """
        if client.id in self._clients:
            raise ClientIdTaken(client.id)
        self._clients[client.id] = client
        if client.identity.user is not None:
            self.users.add(client.identity.user, client)

    def remove(self, client: Client) -> None:
        """Forget a client, also in its groups. Another one that has its id by now stays."""
        if self._clients.get(client.id) is not client:
            return
        del self._clients[client.id]
        for group in client.groups:
            self.groups.discard(group, client)
        client.groups = frozenset()
        if client.identity.user is not None:
            self.users.discard(client.identity.user, client)

    def join(self, client: Client, group: str) -> None:
        """Put a registered client into a group; it may be there already."""
        if group not in client.groups:
            client.groups |= {group}
            self.groups.add(group, client)

    def leave(self, client: Client, group: str) -> None:
        """Take a client out of a group; it need not be in it."""
        if group in client.groups:
            client.groups -= {group}
            self.groups.discard(group, client)

    def bind(self, client: Client, user: str | None) -> None:
        """Make a registered client one of this user's, and of no other; ``None`` for nobody's."""
        before = client.identity.user
        if user == before:
            return
        if before is not None:
            self.users.discard(before, client)
        client.identity = attrs.evolve(client.identity, user=user)
        if user is not None:
            self.users.add(user, client)
