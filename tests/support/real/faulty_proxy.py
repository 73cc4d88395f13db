"""A TCP proxy in the process of the tests, with a switch for each fault of a network."""

from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

reactor: Any = installed
_DONE = Failure(ConnectionDone())


class FaultyProxy(Factory):
    """Forwards connections to a UNIX socket.

    :ivar loses_requests: whether nothing gets to the server any more, without any sign.
    :ivar loses_replies: whether nothing gets back from it.
    :ivar connections: the connections that there are.
    """

    noisy = False

    def __init__(self, path: str) -> None:
        self.endpoint = UNIXClientEndpoint(reactor, path)
        self.loses_requests = self.loses_replies = False
        self.connections: list[_Front] = []
        self._port: Any = reactor.listenTCP(0, self, interface="127.0.0.1")

    @property
    def port(self) -> int:
        """Return the port that it listens on."""
        number: int = self._port.getHost().port
        return number

    def buildProtocol(self, addr: Any) -> Protocol:
        return _Front(self)

    def drop_packets(self) -> None:
        """Let nothing through, in either direction."""
        self.loses_requests = self.loses_replies = True

    def heal(self) -> None:
        """Let everything through again. What was lost stays lost, as are its connections."""
        self.loses_requests = self.loses_replies = False

    def reset(self, after: int | None = None) -> None:
        """Reset all connections (RST).

        :param after: once so many further bytes have come from the server; ``None`` for now.
        """
        for front in [*self.connections]:
            if after is None:
                front.transport.abortConnection()
            else:
                front.bytes_left = after

    def pause(self) -> None:
        """Read nothing from the server any more, as a gateway that hangs."""
        for front in self.connections:
            front.back.transport.pauseProducing()

    def stop(self) -> Any:
        """Close all."""
        self.reset()
        return self._port.stopListening()


class _Front(Protocol):
    """The connection of a client."""

    transport: Any
    back: Any = None

    def __init__(self, proxy: FaultyProxy) -> None:
        self.proxy = proxy
        self.bytes_left: int | None = None
        self._early: list[bytes] = []

    def connectionMade(self) -> None:
        self.proxy.connections.append(self)
        connecting = self.proxy.endpoint.connect(Factory.forProtocol(lambda: _Back(self)))
        connecting.addCallbacks(self._connected, lambda _: self.transport.abortConnection())

    def _connected(self, back: Any) -> None:
        self.back = back
        early, self._early = self._early, []
        for data in early:
            back.transport.write(data)

    def dataReceived(self, data: bytes) -> None:
        if self.proxy.loses_requests:
            return
        if self.back is None:
            self._early.append(data)
        else:
            self.back.transport.write(data)

    def forward(self, data: bytes) -> None:
        """Send to the client what the server has sent."""
        if self.proxy.loses_replies:
            return
        if self.bytes_left is not None:
            data = data[: self.bytes_left]
            self.bytes_left -= len(data)
        self.transport.write(data)
        if self.bytes_left == 0:
            reactor.callLater(0.05, self.transport.abortConnection)

    def connectionLost(self, reason: Failure = _DONE) -> None:
        self.proxy.connections.remove(self)
        if self.back is not None and not self.proxy.loses_requests:
            self.back.transport.abortConnection()


class _Back(Protocol):
    """The connection to the server."""

    transport: Any

    def __init__(self, front: _Front) -> None:
        self._front = front

    def dataReceived(self, data: bytes) -> None:
        self._front.forward(data)

    def connectionLost(self, reason: Failure = _DONE) -> None:
        if not self._front.proxy.loses_replies:
            self._front.transport.abortConnection()
