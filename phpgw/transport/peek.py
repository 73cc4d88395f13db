"""Looks at a connection's socket without reading from it."""

import socket
from typing import Any

from twisted.internet import tcp


def is_quiet(transport: Any) -> bool:
    """Return whether a connection is open, and nothing has arrived that was not read.

    The end of a connection arrives like data. The reactor finds out in its next turn; this does so
    at once. With TLS, the socket below it is looked at.
    """
    below = transport
    while not isinstance(below, tcp.Connection):
        below = getattr(below, "transport", None)
        if below is None:
            return False
    if not below.connected or below.disconnecting or below._aborting:
        return False
    try:
        below.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
