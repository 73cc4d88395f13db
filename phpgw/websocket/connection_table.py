"""The table of connections: which there are, and how far each of them has come."""

from collections.abc import Hashable
from enum import Enum
from typing import Generic, Protocol, TypeVar

from twisted.internet.defer import Deferred

from phpgw.hub.client import NO_CONNECTION, Client
from phpgw.hub.registry import Registry
from phpgw.relay.errors import Draining
from phpgw.relay.relay import Relay
from phpgw.websocket.connection_limit import ConnectionLimit


class ConnectionState(Enum):
    """The state of a connection.

    :cvar PENDING: its handshake has yet to be answered; it can be found by its id alone.
    :cvar OPEN: it can be found in every way.
    :cvar CLOSING: a close frame has been sent or received, or it was aborted. Nothing finds it any
        more, and nothing that it says reaches PHP but that it has left.
    """

    PENDING = "pending"
    OPEN = "open"
    CLOSING = "closing"


class TableConnection(Hashable, Protocol):
    """A connection that can be in the table."""

    client: Client

    @property
    def close_status(self) -> tuple[int, str]:
        """Code and reason of its end, or of the one that is about to come."""


E = TypeVar("E", bound=TableConnection)


class ConnectionTable(Generic[E]):
    """Keeps the state of each connection, and tells the registry and the relay what follows.

    :ivar draining: whether new clients are refused.
    """

    def __init__(self, limit: ConnectionLimit, registry: Registry, relay: Relay) -> None:
        self._limit = limit
        self._registry = registry
        self._relay = relay
        self._states: dict[E, ConnectionState] = {}
        self._empty_waiters: list[Deferred[None]] = []
        self.is_draining = False

    def __len__(self) -> int:
        """Count all connections, in whatever state."""
        return len(self._states)

    def connections(self) -> list[E]:
        """Every connection there is, in whatever state."""
        return list(self._states)

    def state(self, connection: E) -> ConnectionState | None:
        """The state of a connection; ``None`` once it has ended."""
        return self._states.get(connection)

    def check(self, host: str) -> None:
        """See whether one more may come.

        :param host: its IP address; an empty string if it has none.
        :raises phpgw.relay.errors.Draining: if no further clients are taken.
        :raises phpgw.websocket.connection_limit.ConnectionLimitReached: if there is no room for it.
        """
        if self.is_draining:
            raise Draining
        self._limit.check(host)

    def add(self, connection: E) -> None:
        """Take in a connection, which is pending.

        It has yet to be opened, or to be removed.

        :raises phpgw.hub.registry.ClientIdTaken: if its client has the id of another.
        """
        self._registry.add_pending(connection.client)
        self._limit.add(connection.client.handshake.peer_host)
        self._states[connection] = ConnectionState.PENDING

    def open(self, connection: E) -> None:
        """Make a pending connection an open one; one that is closing already stays so."""
        if self._states.get(connection) is ConnectionState.PENDING:
            self._states[connection] = ConnectionState.OPEN
            self._registry.add(connection.client)

    def close(self, connection: E) -> None:
        """Make a connection a closing one; what its client has still to say is dropped."""
        if self._states.get(connection, ConnectionState.CLOSING) is not ConnectionState.CLOSING:
            self._states[connection] = ConnectionState.CLOSING
            self._registry.close(connection.client)
            self._relay.discard_events(connection.client)

    def remove(self, connection: E) -> None:
        """Forget a connection that has ended, or that is not going to be opened."""
        if connection not in self._states:
            return
        client = connection.client
        del self._states[connection]
        self._limit.remove(client.handshake.peer_host)
        self._registry.remove(client)
        client.connection = NO_CONNECTION
        self._relay.disconnect(client, *connection.close_status)
        self._notice_empty()

    def when_empty(self) -> Deferred[None]:
        """Fire once there is no connection."""
        empty: Deferred[None] = Deferred()
        self._empty_waiters.append(empty)
        self._notice_empty()
        return empty

    def _notice_empty(self) -> None:
        if not self._states:
            waiters, self._empty_waiters = self._empty_waiters, []
            for waiter in waiters:
                waiter.callback(None)
