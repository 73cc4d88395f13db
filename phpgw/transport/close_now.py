"""Closing a socket at once, and not in the reactor's next turn.

``transport.loseConnection`` adds the socket to epoll for writing, and closes it when epoll reports
it as writable. If nothing is unsent, it can be closed without that.
"""

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

_DONE = Failure(ConnectionDone())


def close_now(transport: Any) -> None:
    """Close a plain TCP or UNIX socket whose bytes have all been sent."""
    transport.connectionLost(_DONE)
