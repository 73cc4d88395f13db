"""A WebSocket client in the reactor of the test, made of Autobahn's."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from autobahn.websocket.compress import (
    PerMessageDeflateOffer,
    PerMessageDeflateResponse,
    PerMessageDeflateResponseAccept,
)
from autobahn.websocket.types import ConnectionResponse
from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IAddress, IStreamClientEndpoint
from twisted.internet.ssl import Certificate, optionsForClientTLS

# Autobahn's own limits, of a second or so, would make a test fail on a busy machine.
_PATIENCE = 20


class Closed(NamedTuple):
    """The end of a connection; 1006 where it broke off."""

    code: int | None
    reason: str | None
    was_clean: bool


class ConnectionClosed(Exception):
    """There is no next message: the connection has ended.

    :ivar closed: how.
    """

    def __init__(self, closed: Closed) -> None:
        super().__init__(str(closed))
        self.closed = closed


class HandshakeFailed(Exception):
    """The server did not accept the connection.

    :ivar status: the HTTP status of its answer; ``None`` if there was none.
    :ivar headers: those of its answer, names in lower case.
    """

    def __init__(self, status: int | None, headers: Mapping[str, str], reason: str | None) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = headers


class Connection:
    """A connection to a WebSocket server.

    :ivar headers: those of the server's handshake, names in lower case.
    :ivar subprotocol: the one that the server chose.
    :ivar is_compressed: whether permessage-deflate was agreed on.
    :ivar local_port: its port on this side.
    """

    headers: Mapping[str, str]
    subprotocol: str | None
    is_compressed: bool
    local_port: int

    def __init__(self) -> None:
        self._opened: Deferred[Connection] = Deferred()
        self._messages: DeferredQueue[str | bytes | Closed] = DeferredQueue()
        self._outcome: Closed | None = None
        self._waiting_for_end: list[Deferred[Closed]] = []
        self._protocol: _Protocol

    @property
    def closed(self) -> Deferred[Closed]:
        """Fires with how the connection has ended; new on each access."""
        closed: Deferred[Closed] = Deferred()
        if self._outcome is None:
            self._waiting_for_end.append(closed)
        else:
            closed.callback(self._outcome)
        return closed

    def send(self, message: str | bytes) -> None:
        """Send a text or a binary message."""
        is_binary = isinstance(message, bytes)
        payload = message if isinstance(message, bytes) else message.encode()
        self._protocol.sendMessage(payload, isBinary=is_binary)

    def receive(self) -> Deferred[str | bytes]:
        """The next message: text as ``str``, binary as ``bytes``.

        :raises ConnectionClosed: once the connection has ended and all messages were received.
        """

        def check(message: str | bytes | Closed) -> str | bytes:
            if isinstance(message, Closed):
                self._messages.put(message)
                raise ConnectionClosed(message)
            return message

        return self._messages.get().addCallback(check)

    def close(self, code: int = 1000, reason: str = "") -> Deferred[Closed]:
        """Close it in good order."""
        self._protocol.sendClose(code, reason)
        return self.closed

    def abort(self) -> Deferred[Closed]:
        """Break it off without a word to the server."""
        if self._outcome is None:
            self._protocol.transport.abortConnection()
        return self.closed

    def pause_reading(self) -> None:
        """Read no more from the socket: a slow consumer."""
        self._protocol.transport.pauseProducing()

    def resume_reading(self) -> None:
        """Go on reading."""
        self._protocol.transport.resumeProducing()


class _Protocol(WebSocketClientProtocol):
    """Tells a :class:`Connection` what happens to it."""

    # ITCPTransport and IPushProducer, for which there is no name.
    transport: Any

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection
        connection._protocol = self

    def onConnect(self, response: ConnectionResponse) -> None:
        # Kept, since a socket that is closed cannot tell it any longer.
        self._connection.local_port = self.transport.getHost().port
        self._connection.headers = response.headers
        self._connection.subprotocol = response.protocol
        self._connection.is_compressed = bool(response.extensions)

    def onOpen(self) -> None:
        self._connection._opened.callback(self._connection)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self._connection._messages.put(payload if isBinary else payload.decode())

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        connection = self._connection
        connection._outcome = Closed(code, reason, wasClean)
        if not connection._opened.called:
            connection._opened.errback(self._handshake_failed())
        connection._messages.put(connection._outcome)
        waiting, connection._waiting_for_end = connection._waiting_for_end, []
        for closed in waiting:
            closed.callback(connection._outcome)

    def _handshake_failed(self) -> HandshakeFailed:
        words = getattr(self, "http_status_line", "").split()
        status = int(words[1]) if len(words) > 1 and words[1].isdecimal() else None
        return HandshakeFailed(status, getattr(self, "http_headers", {}), self.wasNotCleanReason)


class _Factory(WebSocketClientFactory):
    connection: Connection

    def buildProtocol(self, addr: IAddress | None) -> _Protocol:
        protocol = _Protocol(self.connection)
        protocol.factory = self
        return protocol


def connect(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    origin: str | None = None,
    subprotocols: Sequence[str] = (),
    user_agent: str = "",
    local_port: int | None = None,
    local_host: str = "",
    compression: bool = False,
    auto_fragment_size: int = 0,
    certificate: Path | None = None,
) -> Deferred[Connection]:
    """Open a connection to a WebSocket server. Messages from it may have any size.

    :param headers: more headers of the handshake.
    :param user_agent: the header ``User-Agent``; Autobahn's, if it is empty.
    :param local_port: the port to come from.
    :param local_host: the address to come from, such as 127.0.0.2.
    :param compression: offer permessage-deflate.
    :param auto_fragment_size: send messages in frames of at most so many bytes.
    :param certificate: trust this one, for ``wss:``.
    :raises HandshakeFailed: if the server does not accept it.
    """
    from twisted.internet import reactor

    names = {"useragent": user_agent} if user_agent else {}
    factory = _Factory(
        url, origin=origin, protocols=list(subprotocols), headers=dict(headers or {}), **names
    )
    connection = factory.connection = Connection()
    factory.setProtocolOptions(
        autoFragmentSize=auto_fragment_size,
        openHandshakeTimeout=_PATIENCE,
        closeHandshakeTimeout=_PATIENCE,
        serverConnectionDropTimeout=_PATIENCE,
        perMessageCompressionOffers=[PerMessageDeflateOffer()] if compression else [],
        perMessageCompressionAccept=_accept_deflate,
    )
    bind_address = (local_host, local_port or 0) if local_host or local_port else None
    kind = TCP6ClientEndpoint if ":" in factory.host else TCP4ClientEndpoint
    endpoint: IStreamClientEndpoint = kind(
        reactor, factory.host, factory.port, bindAddress=bind_address
    )
    if factory.isSecure:
        trusted = Certificate.loadPEM(certificate.read_bytes()) if certificate else None
        endpoint = wrapClientTLS(optionsForClientTLS(factory.host, trustRoot=trusted), endpoint)
    return endpoint.connect(factory).addCallback(lambda _: connection._opened)


def _accept_deflate(response: object) -> PerMessageDeflateResponseAccept | None:
    if isinstance(response, PerMessageDeflateResponse):
        return PerMessageDeflateResponseAccept(response)
    return None
