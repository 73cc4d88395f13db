"""Writing to a socket at once, and not in the reactor's next turn.

``transport.write`` stores the bytes, adds the socket to epoll, and sends when epoll reports it as
writable. Nearly always it is writable at once. So one system call does the work of three, and a
turn earlier. With 256 clients over FastCGI this raised the messages a second from 1.66 to 2.15
times those of the Go gateway.
"""

from typing import Any

from twisted.internet import tcp


def write_now(transport: Any, data: bytes) -> None:
    """Write to a transport, and send at once as much as the kernel accepts.

    The rest goes to ``transport.write``. So does everything if the transport is not a plain TCP or
    UNIX socket, if other bytes wait already, or if the socket is broken. The transport then handles
    the error.
    """
    if (
        isinstance(transport, tcp.Connection)
        and transport.connected
        and not transport.TLS
        and not transport.dataBuffer
        and not transport._tempDataBuffer
        and not transport.disconnecting
        and not transport._aborting
    ):
        try:
            sent = transport.socket.send(data)
        except OSError:
            sent = 0
        if sent == len(data):
            return
        data = data[sent:]
    transport.write(data)
