"""The socket of a pool, and the connections of PHP there."""

import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from stat import S_IWOTH
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from phpgw.process.unix_socket import UnixPort, listen_at
from phpgw.settings.option import InvalidOption
from phpgw.settings.pool_config import PoolConfig
from phpgw.settings.pool_text import OPTION

# PHP's connect() to a UNIX socket fails at once if so many wait to be accepted. The kernel has its
# own limit, net.core.somaxconn.
_BACKLOG = 4096
_DIRECTORY_MODE = 0o755
# Seconds for what was written last to arrive, before a connection is aborted.
_ABORT_SECONDS = 0.5


def open_socket(pool: PoolConfig) -> socket.socket:
    """Return the listening socket of a pool: a UNIX socket, or a port of this machine.

    :raises InvalidOption: if it cannot be opened, or others could put another in its place.
    """
    where = repr(f"{pool.name}: {pool.where}")
    try:
        if pool.listen is not None:
            family = socket.AF_INET6 if ":" in pool.listen.host else socket.AF_INET
            return socket.create_server(
                (pool.listen.host, pool.listen.port), family=family, backlog=_BACKLOG
            )
        assert pool.socket is not None  # Settings.pools() has filled it in.
        path = Path(pool.socket)
        _make_directory(path.parent)
        if path.parent.stat().st_mode & S_IWOTH:
            raise InvalidOption(
                OPTION, "a socket in a directory into which not everybody may write", where
            )
        return listen_at(path, pool.mode, _BACKLOG, pool.group)
    except (OSError, LookupError) as error:
        raise InvalidOption(OPTION, f"a socket that can be opened ({error})", where) from None


def _make_directory(directory: Path) -> None:
    """Make a directory and those above it, which others may pass whatever the umask is."""
    if not directory.exists():
        _make_directory(directory.parent)
        directory.mkdir(exist_ok=True)
        directory.chmod(_DIRECTORY_MODE)


def listen_on(reactor: Any, listening: socket.socket, factory: IProtocolFactory) -> IListeningPort:
    """Accept connections on a listening socket, which the port closes at its end."""
    if listening.family == socket.AF_UNIX:
        port = UnixPort(listening, factory, reactor, owns_file=False)
        port.startListening()
        return port
    with listening:
        listening.setblocking(False)
        adopted: IListeningPort = reactor.adoptStreamPort(
            listening.fileno(), listening.family, factory
        )
    return adopted


class PhpConnection(Protocol, ABC):
    """A connection of PHP to a pool. A subclass speaks the server's protocol."""

    factory: "Front"
    transport: Any

    def connectionMade(self) -> None:
        """Add it to those of the pool."""
        self.factory.connections.add(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Remove it from them."""
        self.factory.remove(self)

    @abstractmethod
    def stop(self) -> None:
        """Tell PHP, in the words of the protocol, that the gateway stops, and close."""


class Front(Factory):
    """The connections of PHP to one pool.

    :param make: makes the protocol of each.
    :ivar connections: those that are open.
    """

    noisy = False

    def __init__(self, reactor: Any, make: Callable[[], PhpConnection]) -> None:
        self.connections: set[PhpConnection] = set()
        self._reactor = reactor
        self._make = make
        self._port: IListeningPort | None = None
        self._empty: Deferred[None] | None = None

    def listen(self, listening: socket.socket) -> None:
        """Accept connections on a listening socket."""
        self._port = listen_on(self._reactor, listening, self)

    def buildProtocol(self, addr: object) -> Any:
        """Return the protocol of a new connection."""
        connection = self._make()
        connection.factory = self
        return connection

    def remove(self, connection: PhpConnection) -> None:
        """Remove a connection that is closed."""
        self.connections.discard(connection)
        if self._empty is not None and not self.connections:
            self._empty.callback(None)

    def stop_within(self, seconds: float) -> Deferred[None]:
        """Accept no more connections, and wait for the end of those that there are.

        :param seconds: after so long PHP is told to go, and a little later they are aborted.
        :returns: fires once all are closed.
        """
        return Deferred.fromCoroutine(self._stop_within(seconds))

    async def _stop_within(self, seconds: float) -> None:
        if self._port is not None:
            port, self._port = self._port, None
            await (port.stopListening() or succeed(None))
        if await self._are_gone_within(seconds):
            return
        for connection in [*self.connections]:
            connection.stop()
        if await self._are_gone_within(_ABORT_SECONDS):
            return
        for connection in [*self.connections]:
            connection.transport.abortConnection()
        await self._are_gone_within(_ABORT_SECONDS)

    def _are_gone_within(self, seconds: float) -> Deferred[bool]:
        """Return a Deferred of whether the last connection closes in time."""
        if not self.connections:
            return succeed(True)
        self._empty = Deferred()
        gone = self._empty.addCallback(lambda _: True)

        def end(is_over: bool) -> bool:
            self._empty = None
            return is_over

        gone.addTimeout(seconds, self._reactor, onTimeoutCancel=lambda *_: False)
        return gone.addCallback(end)
