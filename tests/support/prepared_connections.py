"""Connections by the public way whose server has sent its response before it is asked."""

import socket

import attrs

from phpgw.checks.public_url import PublicUrl, parse_public_url

_URL = parse_public_url("ws://site.example/live/ws")


@attrs.define
class PreparedConnections:
    """Opens connections, each with the next response. It takes the place of PublicConnections.

    :ivar responses: what each connection's server sends, before it closes; an error is raised.
    :ivar stays_open: whether the server does not close.
    """

    responses: list[bytes | OSError]
    url: PublicUrl = _URL
    stays_open: bool = False
    _servers: list[socket.socket] = attrs.field(factory=list, init=False)

    def open(self) -> socket.socket:
        """Return a new connection."""
        response = self.responses.pop(0)
        if isinstance(response, OSError):
            raise response
        client, server = socket.socketpair()
        client.settimeout(5)
        server.sendall(response)
        if not self.stays_open:
            server.shutdown(socket.SHUT_WR)
        self._servers.append(server)
        return client

    def close(self) -> None:
        """Close what the server has."""
        for server in self._servers:
            server.close()
