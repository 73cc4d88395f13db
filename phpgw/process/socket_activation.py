"""Sockets that a service manager has made, listens on, and hands to the gateway: sd_listen_fds(3).

They are the manager's: a UNIX socket keeps its permissions and its file. Each is used as what it
is, whatever the endpoint says of its domain.
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

_FIRST = 3


class NoInheritedSocket(Exception):
    """There is no such socket; the text says what would be right."""


@implementer(IStreamServerEndpoint)
@attrs.frozen
class InheritedEndpoint:
    """One of these sockets."""

    reactor: Any
    descriptor: int

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:  # noqa: N803
        """Accept connections on it."""
        return execute(self._listen, protocolFactory)

    def _listen(self, factory: IProtocolFactory) -> IListeningPort:
        listening = socket.socket(fileno=self.descriptor)
        # PHP-FPM and the like are not to have it too.
        listening.set_inheritable(False)
        listening.setblocking(False)
        if listening.family == socket.AF_UNIX:
            port = UnixPort(listening, factory, self.reactor, own=False)
            port.startListening()
            return port
        # The reactor makes a copy of it.
        with listening:
            adopted: IListeningPort = self.reactor.adoptStreamPort(
                listening.fileno(), listening.family, factory
            )
        return adopted


def find_descriptor(
    environment: Mapping[str, str], index: str | None = None, name: str | None = None
) -> int:
    """The descriptor of a socket that was handed over.

    :param environment: may have their names in ``LISTEN_FDNAMES``.
    :param index: its number, counted from 0.
    :param name: or its name.
    :raises NoInheritedSocket: saying what would be right, if there is no such socket.
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
    # Twisted has taken LISTEN_FDS out of the environment: what is there has to be seen.
    descriptor = _FIRST + number
    if not _listens(descriptor):
        raise NoInheritedSocket("a socket that systemd has handed over (is there a .socket unit?)")
    return descriptor


def _listens(descriptor: int) -> bool:
    try:
        with socket.socket(fileno=os.dup(descriptor)) as copy:
            return bool(copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        return False
