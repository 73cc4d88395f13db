"""Listening UNIX sockets: the gateway's own, and those of a service manager.

Twisted protects a socket with a lock file that contains the process id. The lock file stays when
the process is killed. In a container, where the next process has the same id, the gateway could
then never start again. Here, a socket is in use if it accepts connections, and there is no lock
file. Twisted also changes the mode of an inherited socket, and deletes it at the end.
"""

import atexit
import errno
import os
import socket
from contextlib import suppress
from grp import getgrnam
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
class SocketFile:
    """A file's path, device and inode: they distinguish it from a later file of the same path."""

    path: Path
    device: int
    number: int

    @classmethod
    def at(cls, path: Path) -> Self | None:
        """Return the file at a path; ``None`` if there is none."""
        try:
            status = path.stat()
        except OSError:
            return None
        return cls(path, status.st_dev, status.st_ino)

    def remove(self) -> None:
        """Delete the file, unless another process has replaced it."""
        if SocketFile.at(self.path) == self:
            # After a change of user it may be forbidden. The next start then replaces the file.
            with suppress(PermissionError):
                self.path.unlink()


class UnixPort(unix.Port):
    """A port on a UNIX socket that is already bound and listening.

    :param listening: the socket. The port closes it at the end.
    :param owns_file: whether the port deletes the socket's file at the end.
    """

    def __init__(
        self, listening: socket.socket, factory: IProtocolFactory, reactor: Any, *, owns_file: bool
    ) -> None:
        name = listening.getsockname()
        super().__init__(name, factory, reactor=reactor)
        listening.setblocking(False)
        # shutdown(2) would stop it for all processes that share the socket.
        self._shouldShutdown = False
        self.socket = listening
        self._own_file = SocketFile.at(Path(name)) if owns_file else None
        # If another port is not free, the reactor never runs, and connectionLost is never called.
        atexit.register(self._remove_file)

    def startListening(self) -> None:  # noqa: N802
        """Start to accept connections."""
        # Twisted keeps one descriptor, to refuse connections when no other is left.
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
        if self._own_file is not None:
            self._own_file.remove()


@implementer(IStreamServerEndpoint)
@attrs.frozen
class UnixEndpoint:
    """The endpoint of a UNIX socket. It replaces a socket file on which no process listens.

    :ivar mode: the permissions of the socket's file.
    :ivar backlog: the maximum number of connections that wait to be accepted.
    """

    reactor: Any
    path: Path
    mode: int
    backlog: int

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:  # noqa: N803
        """Bind the socket and listen.

        The Deferred fails with :exc:`twisted.internet.error.CannotListenError`.
        """
        return execute(self._listen, protocolFactory)

    def _listen(self, factory: IProtocolFactory) -> IListeningPort:
        try:
            listening = listen_at(self.path, self.mode, self.backlog)
        except OSError as error:
            raise CannotListenError(None, str(self.path), error) from None
        port = UnixPort(listening, factory, self.reactor, owns_file=True)
        port.startListening()
        return port


def listen_at(path: Path, mode: int, backlog: int, group: str | None = None) -> socket.socket:
    """Bind a UNIX socket, listen, and return it. Replace a file on which no process listens.

    :param mode: the permissions of the socket's file.
    :param backlog: the maximum number of connections that wait to be accepted.
    :param group: the group of the socket's file; ``None`` for that of this process.
    :raises LookupError: if there is no such group.
    :raises OSError: if a process listens there, or the file cannot be made.
    """
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        # No process may connect before the file has its final mode.
        umask = os.umask(0o177)
        try:
            listening.bind(str(path))
        finally:
            os.umask(umask)
        # To change the group may be forbidden, even to the same one.
        if group is not None and getgrnam(group).gr_gid != path.stat().st_gid:
            os.chown(path, -1, getgrnam(group).gr_gid)
        path.chmod(mode)
        listening.listen(backlog)
    except (OSError, LookupError):
        listening.close()
        raise
    return listening


def _remove_stale(path: Path) -> None:
    """Delete the socket file that a killed process has left behind.

    :raises OSError: if a process listens on it, or it cannot be deleted.
    """
    if not path.exists():
        return
    if not path.is_socket():
        raise FileExistsError(errno.EEXIST, "There is a file of that name")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            # A process listens, but its backlog is full.
            pass
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
