"""Looks at a connection's socket without reading from it."""

import socket
from typing import Any

from twisted.internet import tcp


def is_open(transport: Any) -> bool:
    """Return whether the peer of a connection has not ended it, as far as it was read."""
    below = _open_connection(transport)
    return below is not None and _peek(below) != b""


def is_quiet(transport: Any) -> bool:
    """Return whether a connection is open, and nothing has arrived that was not read.

    The end of a connection arrives like data. The reactor finds out in its next turn; this does so
    at once. With TLS, the socket below it is looked at.
    """
    below = _open_connection(transport)
    return below is not None and _peek(below) is None


def _open_connection(transport: Any) -> Any:
    """Return the connection at the bottom of a transport; ``None`` if it is being closed."""
    while not isinstance(transport, tcp.Connection):
        transport = getattr(transport, "transport", None)
        if transport is None:
            return None
    is_closing = not transport.connected or transport.disconnecting or transport._aborting
    return None if is_closing else transport


def _peek(connection: tcp.Connection) -> bytes | None:
    """Return the next byte; empty at the end, and ``None`` if nothing has arrived."""
    try:
        data: bytes = connection.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except OSError:
        return b""
    return data
