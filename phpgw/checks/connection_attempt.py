"""An attempt to connect, and why it failed."""

import errno
import os
import socket
from contextlib import suppress

import attrs

from phpgw.checks.addresses import Address, UnixPath

_TIMEOUT = 3.0
# What a firewall, or a route, makes of a connection.
_UNREACHABLE = frozenset(
    (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN, errno.EACCES)
)


@attrs.frozen
class Refused:
    """A connection that could not be made.

    :ivar kind: ``missing`` (no such socket), ``refused``, ``denied`` (permissions), ``full`` (the
        backlog), ``timeout``, ``unreachable``, ``unknown name``, or ``other``.
    :ivar text: what the operating system says.
    """

    kind: str
    text: str


def connect(address: Address, timeout: float = _TIMEOUT) -> "socket.socket | Refused":
    """Return a connected socket, or why there is none.

    :param timeout: in seconds, for each address of a host.
    """
    if isinstance(address, UnixPath):
        return _connect_unix(address.path, timeout)
    try:
        return socket.create_connection((address.host, address.port), timeout)
    except socket.gaierror as error:
        return Refused("unknown name", error.strerror or str(error))
    except UnicodeError as error:
        return Refused("unknown name", str(error))
    except OSError as error:
        return explain(error)


def explain(error: OSError) -> Refused:
    """Return the kind of an error of a TCP connection, and its text."""
    if isinstance(error, TimeoutError) or error.errno == errno.ETIMEDOUT:
        return Refused("timeout", "no answer in time")
    text = os.strerror(error.errno) if error.errno else str(error)
    if error.errno == errno.ECONNREFUSED:
        return Refused("refused", text)
    return Refused("unreachable" if error.errno in _UNREACHABLE else "other", text)


def _connect_unix(path: str, timeout: float) -> "socket.socket | Refused":
    kinds = {
        errno.ENOENT: "missing",
        errno.ENOTDIR: "missing",
        errno.ECONNREFUSED: "refused",
        errno.EACCES: "denied",
        errno.EAGAIN: "full",
    }
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # A full backlog is reported at once.
        connection.setblocking(False)
        connection.connect(path)
        connection.settimeout(timeout)
        return connection
    except OSError as error:
        with suppress(OSError):
            connection.close()
        return Refused(kinds.get(error.errno or 0, "other"), error.strerror or str(error))
