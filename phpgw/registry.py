"""Which clients are connected."""

from collections.abc import Iterator

from phpgw.client import Client


class ClientIdTaken(Exception):
    """A client with this id is connected already."""


class Registry:
    """The connected clients by id."""

    def __init__(self) -> None:
        self._clients: dict[str, Client] = {}

    def __len__(self) -> int:
        return len(self._clients)

    def __iter__(self) -> Iterator[Client]:
        """All clients, safe against clients that leave or come meanwhile."""
        return iter(list(self._clients.values()))

    def add(self, client: Client) -> None:
        """Make a client reachable.

        :raises ClientIdTaken: if another one has its id. (A peer address is unique for one
            listening port; two ports can meet the same one.)
        """
        if client.id in self._clients:
            raise ClientIdTaken(client.id)
        self._clients[client.id] = client

    def remove(self, client: Client) -> None:
        """Forget a client. Another one that has its id by now stays."""
        if self._clients.get(client.id) is client:
            del self._clients[client.id]

    def find(self, client_id: str) -> Client | None:
        """The client with this id, if it is connected."""
        return self._clients.get(client_id)
