"""A WebSocket server of Autobahn's, in the test's own reactor, for the gateway to connect to."""

from pathlib import Path
from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet import reactor, ssl
from twisted.internet.defer import Deferred, DeferredQueue

from tests.support.real.waiting import until


class ServedConnection(WebSocketServerProtocol):
    """A connection of the gateway.

    :ivar request: its handshake.
    :ivar messages: what the gateway has sent.
    :ivar closed: code and reason, once it has ended.
    :ivar pongs: how many have come.
    """

    factory: Any
    transport: Any

    def onConnect(self, request: Any) -> str | None:
        self.request = request
        self.messages: DeferredQueue[tuple[bytes, bool]] = DeferredQueue()
        self.closed: tuple[int | None, str | None] | None = None
        self.pongs = 0
        self.factory.server.handshakes += 1
        offered = [each for each in request.protocols if each in self.factory.server.subprotocols]
        return offered[0] if offered else None

    def onOpen(self) -> None:
        self.factory.server.connections.append(self)
        self.factory.server.opened.put(self)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.messages.put((payload, isBinary))

    def onPong(self, payload: bytes) -> None:  # noqa: N802
        self.pongs += 1

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self.closed = code, reason

    def say(self, text: str) -> None:
        """Send a text message."""
        self.sendMessage(text.encode())

    def stop_reading(self) -> None:
        """Read nothing more."""
        self.transport.pauseProducing()

    def write(self, data: bytes) -> None:
        """Send these very bytes."""
        self.transport.write(data)


class WebSocketServer:
    """A server on a free port of the loopback interface.

    :param certificate: the files of a certificate and its key, for TLS.
    :param subprotocols: those that it speaks.
    :ivar connections: all that there have been.
    :ivar opened: each connection once it is open.
    :ivar handshakes: how many there have been.
    """

    def __init__(
        self, certificate: tuple[Path, Path] | None = None, *, subprotocols: tuple[str, ...] = ()
    ) -> None:
        self.subprotocols = subprotocols
        self.connections: list[ServedConnection] = []
        self.opened: DeferredQueue[ServedConnection] = DeferredQueue()
        self.handshakes = 0
        self._certificate = certificate
        self._port: Any = None
        self.port = 0

    @property
    def url(self) -> str:
        """Return its URL, on localhost."""
        return f"{'wss' if self._certificate else 'ws'}://localhost:{self.port}/feed"

    def start(self) -> None:
        """Listen, on the port from before if there was one."""
        factory: Any = WebSocketServerFactory()
        factory.protocol = ServedConnection
        factory.server = self
        factory.setProtocolOptions(failByDrop=False, closeHandshakeTimeout=0)
        factory.noisy = False
        listening: Any = reactor
        if self._certificate is None:
            self._port = listening.listenTCP(self.port, factory, interface="127.0.0.1")
        else:
            path, key_path = self._certificate
            context = ssl.DefaultOpenSSLContextFactory(str(key_path), str(path))
            self._port = listening.listenSSL(self.port, factory, context, interface="127.0.0.1")
        self.port = self._port.getHost().port

    def next(self) -> Deferred[ServedConnection]:
        """Return the next connection, once it is open."""
        return self.opened.get()

    async def stop(self) -> None:
        """Listen no longer, and drop all connections."""
        if self._port is not None:
            port, self._port = self._port, None
            await port.stopListening()
        for each in self.connections:
            if each.closed is None:
                each.transport.abortConnection()

        async def all_ended() -> bool:
            return all(each.closed is not None for each in self.connections)

        await until(all_ended)
