"""Closing a socket at once, and not in the reactor's next turn.

``transport.loseConnection`` adds the socket to epoll for writing, and closes it when epoll reports
it as writable. If nothing is unsent, it can be closed without that.
"""

from functools import partial
from typing import Any

from twisted.internet import tcp
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.python.failure import Failure

from phpgw.transport.socket_reactor import call_soon_of


class _Done(Failure):
    """The reason of a connection that was closed as it should be."""

    def check(self, *errorTypes: Any) -> Any:  # noqa: N803
        # Twisted asks for this one whenever it closes a socket. It would compare names of classes.
        return None if errorTypes == (ConnectionAborted,) else super().check(*errorTypes)


_DONE = _Done(ConnectionDone())


def close_now(transport: Any) -> None:
    """Close a plain TCP or UNIX socket whose bytes have all been sent."""
    transport.connectionLost(_DONE)


def close_soon(transport: Any) -> bool:
    """Close a transport once all its bytes have been sent, but not before the caller has returned.

    It does so itself if it is not a plain TCP or UNIX socket, or if bytes are unsent.

    :returns: whether it is closed soon, whatever its peer does.
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
        call_soon_of(transport.reactor)(partial(transport.connectionLost, _DONE))
        return True
    transport.loseConnection()
    return False
