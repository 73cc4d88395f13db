"""A listening TCP port that reads from a connection as soon as it has accepted it.

A peer's first request has often arrived when its connection is accepted. Then the connection needs
no place in epoll before it is read, and none at all if it is closed after the response. Twisted's
port makes some objects for each connection that are only used in log lines; this one does not.

Of 13,000 pushes over a connection each, from 16 peers at a time, 86 % had arrived with it. The CPU
of such a push was 0.6 of what it is with Twisted's port and a whole HTTP channel.
"""

import socket
from typing import Any

from twisted.internet import main, tcp
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionLost
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.log_limit import line_limit

# Ports that are bound to these addresses take connections to all addresses of the machine.
_WILDCARDS = ("0.0.0.0", "::")
# How many connections are accepted in one turn of the reactor: about 2 ms. Each is served at once,
# and its peer may open the next one meanwhile, while all other connections wait.
_MAX_ACCEPTS = 32


class PromptServer(tcp.Server):
    """The transport of an accepted connection.

    It is watched for reading after :meth:`read_first`.

    :ivar local_port: the number of the port that accepted it.
    """

    logstr = "connection"
    repstr = "<connection>"
    _is_new = True
    _wants_reading = True

    def __init__(
        self,
        sock: socket.socket,
        protocol: Any,
        peer: IPv4Address | IPv6Address,
        bound: IPv4Address | IPv6Address,
        reactor: Any,
    ) -> None:
        # Without a call of Server's own method, which makes texts for the log.
        tcp.Connection.__init__(self, sock, protocol, reactor)
        self._peer = peer
        self._bound = bound
        self.local_port = bound.port
        self._addressType = type(peer)
        self.connected = 1

    def getPeer(self) -> IPv4Address | IPv6Address:  # noqa: N802
        return self._peer

    def getHost(self) -> IPv4Address | IPv6Address:  # noqa: N802
        # To ask the socket takes a system call.
        if self._bound.host in _WILDCARDS:
            return super().getHost()
        return self._bound

    def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: N802
        """Set TCP_NODELAY, which it has already from its port."""
        if not enabled:
            super().setTcpNoDelay(enabled)

    def doRead(self) -> Any:
        """Read once. Twisted's does the same, in two calls more."""
        try:
            data = self.socket.recv(self.bufferSize)
        except BlockingIOError:
            return None
        except OSError:
            return main.CONNECTION_LOST
        if not data:
            return main.CONNECTION_DONE
        self.protocol.dataReceived(data)
        return None

    def read_first(self) -> None:
        """Read what has arrived, and watch the socket if the connection stays open."""
        try:
            # A reason to disconnect is found again when the socket is watched.
            self.doRead()
        finally:
            self._is_new = False
        if self._wants_reading and self.connected:
            self.startReading()

    def startReading(self) -> None:  # noqa: N802
        """Watch the socket, unless it is new."""
        if self._is_new:
            self._wants_reading = True
        else:
            self.reactor.addReader(self)

    def stopReading(self) -> None:  # noqa: N802
        """Do not watch the socket."""
        if self._is_new:
            self._wants_reading = False
        else:
            self.reactor.removeReader(self)


class PromptPort(tcp.Port):
    """A listening TCP port of a :class:`~.socket_reactor.SocketReactor`."""

    log = Logger(observer=line_limit)
    factory: Any
    socket: Any

    def startListening(self) -> None:  # noqa: N802
        super().startListening()
        self.numberAccepts = _MAX_ACCEPTS
        self._bound = self.getHost()
        # Accepted sockets inherit it, which saves a system call for each.
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)

    def doRead(self) -> None:
        """Accept connections, and read from each."""
        accepted = 0
        while accepted < self.numberAccepts:
            try:
                # The socket's own accept() looks up family and type of each connection.
                descriptor, address = self.socket._accept()
            except BlockingIOError:
                break
            except OSError:
                # Twisted keeps a descriptor in reserve, for example.
                super().doRead()
                return
            accepted += 1
            sock = socket.socket(self.addressFamily, socket.SOCK_STREAM, 0, descriptor)
            self._open(sock, address)
        # As Twisted does: after a full round, more connections may be waiting.
        full = accepted == self.numberAccepts
        self.numberAccepts = min(accepted + 20, _MAX_ACCEPTS) if full else max(1, accepted)

    def _open(self, sock: socket.socket, address: Any) -> None:
        """Read from a connection. An exception closes it, and never the port."""
        transport = None
        try:
            if len(address) == 4 and address[3]:
                # A link-local address: the name has its zone.
                name, _ = socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
                address = (name, *address[1:])
            peer = self._buildAddr(address)
            protocol = self.factory.buildProtocol(peer)
            if protocol is None:
                sock.close()
                return
            transport = PromptServer(sock, protocol, peer, self._bound, self.reactor)
            protocol.makeConnection(transport)
            transport.read_first()
        except Exception:
            self.log.failure("A connection is closed, since it could not be used")
            self._close(sock, transport)

    def _close(self, sock: socket.socket, transport: PromptServer | None) -> None:
        try:
            if transport is None:
                sock.close()
            else:
                transport.connectionLost(Failure(ConnectionLost()))
        except Exception:
            self.log.failure("A connection could not be closed as it should be")
