"""The interface to each kind of server: its connections, and what opens them."""

from typing import Protocol, TypeVar

from twisted.internet.defer import Deferred


class ServerConnection(Protocol):
    """A connection to the server of a pool. It is hashed by its identity.

    :ivar opened_at: when it was opened, by the reactor's clock, in seconds.
    """

    opened_at: float

    def is_alive(self) -> bool:
        """Return whether the server has neither closed it nor sent anything that was not read."""
        ...

    def close(self) -> None:
        """Close it. A second call does nothing."""
        ...


C = TypeVar("C", bound=ServerConnection)
_K = TypeVar("_K", contravariant=True)


class Connector(Protocol[_K, C]):
    """Opens connections to the server of a pool."""

    def connect(self, key: _K) -> Deferred[C]:
        """Open a connection, and log in.

        :returns: fires with a connection that PHP can use. It fails with
            :exc:`.ServerUnavailable`, or with an error that the kind of the pool knows. If it is
            cancelled, it closes the socket.
        """
        ...
