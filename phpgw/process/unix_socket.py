"""UNIX sockets that the gateway listens on: its own, and those that a service manager holds.

Twisted marks a socket of its own with a lock file that has the process id in it. That outlives a
process that was killed; in a container, where the next one has the same id, it can never start
again. Here a socket is in use if somebody answers on it, and nothing else is left behind. Twisted
also changes the mode of a socket that it was given, and deletes it in the end.
"""

import atexit
import errno
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import attrs
from twisted.internet import tcp, unix
from twisted.internet.defer import Deferred, execute
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.python.failure import Failure
from zope.interface import implementer


@attrs.frozen
class _File:
    """A file, and what tells it from another that has its name later."""

    path: Path
    device: int
    number: int

    @classmethod
    def at(cls, path: Path) -> Self | None:
        """The one that is there; ``None`` if there is none."""
        try:
            status = path.stat()
        except OSError:
            return None
        return cls(path, status.st_dev, status.st_ino)


class UnixPort(unix.Port):
    """Listens on a UNIX socket that is bound already, and listens.

    :param listening: the socket; it is closed in the end.
    :param own: whether its file is ours to delete in the end.
    """

    def __init__(
        self, listening: socket.socket, factory: IProtocolFactory, reactor: Any, *, own: bool
    ) -> None:
        name = listening.getsockname()
        super().__init__(name, factory, reactor=reactor)
        listening.setblocking(False)
        # Which would end it for all who have it.
        self._shouldShutdown = False
        self.socket = listening
        self._own = _File.at(Path(name)) if own else None
        # It may be that the reactor never runs, as another port is taken.
        atexit.register(self._remove_file)

    def startListening(self) -> None:  # noqa: N802
        """Accept connections from now on."""
        # For when there is no descriptor left: the one that is kept for refusing connections.
        tcp._reservedFD.reserve()
        assert self.factory is not None
        self.factory.doStart()
        self.connected = True
        self.fileno = self.socket.fileno  # type: ignore[method-assign]
        self.numberAccepts = 100
        self.startReading()

    def connectionLost(self, reason: Failure) -> None:
        atexit.unregister(self._remove_file)
        self._remove_file()
        tcp.Port.connectionLost(self, reason)

    def _remove_file(self) -> None:
        # It may have been deleted, and another made in its place.
        if self._own is not None and _File.at(self._own.path) == self._own:
            # twistd may have made us somebody who must not; the next one replaces it.
            with suppress(PermissionError):
                self._own.path.unlink()


@implementer(IStreamServerEndpoint)
@attrs.frozen
class UnixEndpoint:
    """A UNIX socket at a path; one that is there, and on which nobody listens, is replaced.

    :ivar mode: the permissions of its file.
    :ivar backlog: how many connections may wait to be accepted.
    """

    reactor: Any
    path: Path
    mode: int
    backlog: int

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:  # noqa: N803
        """Bind the socket and listen.

        The result fails with :exc:`twisted.internet.error.CannotListenError`.
        """
        return execute(self._listen, protocolFactory)

    def _listen(self, factory: IProtocolFactory) -> IListeningPort:
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _remove_stale(self.path)
            # Nobody may connect before it has the mode that was asked for.
            umask = os.umask(0o177)
            try:
                listening.bind(str(self.path))
            finally:
                os.umask(umask)
            self.path.chmod(self.mode)
            listening.listen(self.backlog)
        except OSError as error:
            listening.close()
            raise CannotListenError(None, str(self.path), error) from None
        port = UnixPort(listening, factory, self.reactor, own=True)
        port.startListening()
        return port


def _remove_stale(path: Path) -> None:
    """Delete a socket's file that a process left behind which was killed.

    :raises OSError: if somebody listens on it, or it cannot be deleted.
    """
    if not path.exists():
        return
    if not path.is_socket():
        raise FileExistsError(errno.EEXIST, "There is a file of that name")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as visitor:
        visitor.setblocking(False)
        try:
            visitor.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            # So many are waiting that there is no room for one more.
            pass
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
