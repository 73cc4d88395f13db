"""Socket activation: listening sockets that the service manager passes on (sd_listen_fds(3)).

They belong to the service manager. So a UNIX socket keeps its permissions and its file. The domain
in the endpoint's text is ignored; the socket's own family is used.
"""

import os
import socket
from collections.abc import Mapping
from typing import Any

import attrs
from twisted.internet.defer import Deferred, execute
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from zope.interface import implementer

from phpgw.process.unix_socket import UnixPort

_FIRST_DESCRIPTOR = 3


class NoInheritedSocket(Exception):
    """There is no such socket. The text says what is expected."""


@implementer(IStreamServerEndpoint)
@attrs.frozen
class InheritedEndpoint:
    """The endpoint of an inherited socket."""

    reactor: Any
    descriptor: int

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:  # noqa: N803
        """Accept connections on the socket."""
        return execute(self._listen, protocolFactory)

    def _listen(self, factory: IProtocolFactory) -> IListeningPort:
        listening = socket.socket(fileno=self.descriptor)
        # Child processes such as PHP-FPM must not inherit it.
        listening.set_inheritable(False)
        listening.setblocking(False)
        if listening.family == socket.AF_UNIX:
            port = UnixPort(listening, factory, self.reactor, owns_file=False)
            port.startListening()
            return port
        # The reactor duplicates the descriptor.
        with listening:
            adopted: IListeningPort = self.reactor.adoptStreamPort(
                listening.fileno(), listening.family, factory
            )
        return adopted


def find_descriptor(
    environment: Mapping[str, str], index: str | None = None, name: str | None = None
) -> int:
    """Return the descriptor of an inherited socket. Give its index or its name.

    :param environment: may have the names of the sockets in ``LISTEN_FDNAMES``.
    :param index: the number of the socket, counted from 0.
    :param name: the name of the socket.
    :raises NoInheritedSocket: if there is no such socket.
    """
    if (index is None) == (name is None):
        raise NoInheritedSocket("either index=NUMBER or name=NAME")
    if name is not None:
        names = environment.get("LISTEN_FDNAMES", "").split(":")
        if name not in names:
            raise NoInheritedSocket(f"the name of a socket that was handed over, not {name}")
        number = names.index(name)
    else:
        assert index is not None
        if not (index.isascii() and index.isdecimal() and len(index) < 5):
            raise NoInheritedSocket("index=NUMBER, counted from 0")
        number = int(index)
    # Twisted has removed LISTEN_FDS from the environment. So look at the descriptor itself.
    descriptor = _FIRST_DESCRIPTOR + number
    if not _is_listening(descriptor):
        raise NoInheritedSocket("a socket that systemd has handed over (is there a .socket unit?)")
    return descriptor


def _is_listening(descriptor: int) -> bool:
    try:
        with socket.socket(fileno=os.dup(descriptor)) as copy:
            return bool(copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        return False
