"""Closing a socket at once, and not in the reactor's next turn.

``transport.loseConnection`` adds the socket to epoll for writing, and closes it when epoll reports
it as writable. If nothing is unsent, it can be closed without that.
"""

from typing import Any

from twisted.internet import tcp
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

_DONE = Failure(ConnectionDone())


def close_now(transport: Any) -> None:
    """Close a plain TCP or UNIX socket whose bytes have all been sent."""
    transport.connectionLost(_DONE)


def close_soon(transport: Any) -> None:
    """Close a transport once all its bytes have been sent, but not in this turn of the reactor.

    It does so itself if it is not a plain TCP or UNIX socket, or if bytes are unsent.
    """
    if (
        isinstance(transport, tcp.Connection)
        and transport.connected
        and not transport.TLS
        and not transport.dataBuffer
        and not transport._tempDataBuffer
        and not transport.disconnecting
        and not transport._writeDisconnecting
        and not transport._aborting
        and transport.producer is None
    ):
        transport.stopReading()
        transport.disconnecting = True
        reactor: Any = transport.reactor
        reactor.callLater(0, transport.connectionLost, _DONE)
    else:
        transport.loseConnection()
