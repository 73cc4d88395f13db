"""The connection table: every connection of a client, and its state.

The table knows nothing of the protocol that a connection speaks. It tells the connection limit, the
registry and the relay what happens to each connection.
"""

import time
from collections.abc import Callable
from enum import Enum
from typing import Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress

from phpgw.backend.event import Handshake, Identity
from phpgw.hub.client import NO_CONNECTION, Client, Connection
from phpgw.hub.registry import Registry
from phpgw.relay.errors import Draining
from phpgw.relay.relay import Relay
from phpgw.websocket.connection_limit import ConnectionLimit
from phpgw.websocket.drain import DrainingConnection
from phpgw.websocket.lifetimes import AgingConnection


class ConnectionState(Enum):
    """The state of a connection.

    :cvar PENDING: the gateway has not sent the response to the handshake yet. Commands find the
        client by its id only.
    :cvar OPEN: commands find the client by its id, its groups and its user.
    :cvar CLOSING: a close frame was sent or received, or the connection was aborted. Commands do
        not find the client. PHP gets no more messages of the client, only its disconnect.
    """

    PENDING = "pending"
    OPEN = "open"
    CLOSING = "closing"


class TableConnection(Connection, DrainingConnection, AgingConnection, Protocol):
    """A connection that the table can hold, whatever protocol it speaks.

    It calls :meth:`ConnectionTable.open`, :meth:`ConnectionTable.close` and
    :meth:`ConnectionTable.remove` when its state changes.

    :ivar client: set by :meth:`ConnectionTable.add_pending`.
    """

    client: Client

    @property
    def close_status(self) -> tuple[int, str]:
        """Return the close code and the reason: RFC 6455, sections 7.1.5 and 7.1.6."""

    def close(self, code: int, reason: str, cause: str = "command") -> None:
        """Start the closing handshake, unless it has started already."""

    def abort(self) -> None:
        """End the connection at once, without a closing handshake."""


C = TypeVar("C", bound=TableConnection)


class ConnectionTable:
    """Holds the state of each connection; tells the registry and the relay when it changes.

    :param limit: counts the connections in the table.
    :param make_client_id: returns the id of a new client for the address of its peer, such as
        :func:`phpgw.websocket.client_ids.peer_ids`.
    :ivar is_draining: whether new connections are refused; set when the gateway stops.
    """

    def __init__(
        self,
        limit: ConnectionLimit,
        registry: Registry,
        relay: Relay,
        make_client_id: Callable[[IAddress], str],
    ) -> None:
        self._limit = limit
        self._registry = registry
        self._relay = relay
        self._make_client_id = make_client_id
        self._states: dict[TableConnection, ConnectionState] = {}
        self._empty_waiters: list[Deferred[None]] = []
        self.is_draining = False

    def __len__(self) -> int:
        """Return the number of connections, in all states."""
        return len(self._states)

    def connections(self) -> list[TableConnection]:
        """Return all connections, in all states."""
        return list(self._states)

    def state(self, connection: TableConnection) -> ConnectionState | None:
        """Return the state of a connection; ``None`` if it is not in the table."""
        return self._states.get(connection)

    def add_pending(
        self, peer: IAddress, handshake: Handshake, make_connection: Callable[[], C]
    ) -> C:
        """Add a pending connection for a new client.

        The caller must open the connection or remove it.

        :param peer: the address that the client's id is made from.
        :param handshake: what PHP is told of the client's request.
        :param make_connection: called once the connection is within the limit.
        :raises phpgw.relay.errors.Draining: if the gateway is about to stop.
        :raises phpgw.websocket.connection_limit.ConnectionLimitReached: if a limit is reached.
        :raises phpgw.hub.registry.ClientIdTaken: if another client has the same id.
        """
        if self.is_draining:
            raise Draining
        self._limit.check(handshake.peer_host)
        connection = make_connection()
        identity = Identity(client_id=self._make_client_id(peer), handshake=handshake)
        client = connection.client = Client(identity, connection, time.time())
        self._registry.add_pending(client)
        self._limit.add(handshake.peer_host)
        self._states[connection] = ConnectionState.PENDING
        return connection

    def open(self, connection: TableConnection) -> None:
        """Make a pending connection open; do nothing in other states."""
        if self._states.get(connection) is ConnectionState.PENDING:
            self._states[connection] = ConnectionState.OPEN
            self._registry.add(connection.client)

    def close(self, connection: TableConnection) -> None:
        """Make a connection closing, and discard the messages of its client that still wait."""
        if self._states.get(connection, ConnectionState.CLOSING) is not ConnectionState.CLOSING:
            self._states[connection] = ConnectionState.CLOSING
            self._registry.close(connection.client)
            self._relay.discard_events(connection.client)

    def remove(self, connection: TableConnection) -> None:
        """Remove a connection that has ended or was refused; do nothing if it is not here."""
        if connection not in self._states:
            return
        client = connection.client
        del self._states[connection]
        self._limit.remove(client.handshake.peer_host)
        self._registry.remove(client)
        client.connection = NO_CONNECTION
        self._relay.disconnect(client, *connection.close_status)
        self._notify_if_empty()

    def when_empty(self) -> Deferred[None]:
        """Return a Deferred that fires once the table is empty."""
        empty: Deferred[None] = Deferred()
        self._empty_waiters.append(empty)
        self._notify_if_empty()
        return empty

    def _notify_if_empty(self) -> None:
        if not self._states:
            waiters, self._empty_waiters = self._empty_waiters, []
            for waiter in waiters:
                waiter.callback(None)
