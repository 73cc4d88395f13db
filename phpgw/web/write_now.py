"""Sending at once, where Twisted would wait for the reactor's next turn.

``transport.write`` notes the bytes, adds the socket to epoll, and sends when epoll says that it
may, which is nearly always at once: three system calls in place of one, and a turn later. At 256
clients over FastCGI that makes 2.15 of the Go gateway's messages a second of 1.66.
"""

from typing import Any

from twisted.internet import tcp


def write_now(transport: Any, data: bytes) -> None:
    """Write to a transport; what the kernel takes now is sent now.

    For what the kernel does not take, and for any transport but a plain TCP or UNIX socket on
    which nothing else waits, this is ``transport.write``. So it is for a broken socket, which the
    transport then finds out about.
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
