"""The browser's end of a connection in memory: raw bytes, so that tests can break every rule."""

import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IAddress
from twisted.internet.ssl import PrivateCertificate
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

HEADERS = {
    "Host": "example.com:8080",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def request(path: str = "/ws", method: str = "GET", version: str = "1.1", **changes: Any) -> bytes:
    """An opening handshake; ``Header_Name=None`` leaves one out."""
    headers: dict[str, str | None] = {**HEADERS}
    headers.update({name.replace("_", "-"): value for name, value in changes.items()})
    lines = [f"{method} {path} HTTP/{version}"]
    lines += [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0) -> bytes:
    """A client's frame (RFC 6455, section 5.2), masked with zeros."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    if len(payload) < 126:
        head = struct.pack("!BB", first, 0x80 | len(payload))
    elif len(payload) < 65536:
        head = struct.pack("!BBH", first, 0x80 | 126, len(payload))
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, len(payload))
    return head + bytes(4) + payload


class _Transport(StringTransport):
    """A socket: what it was given waits in it until the browser reads."""

    offset = 0
    _tempDataLen = 0  # noqa: N815

    @property
    def dataBuffer(self) -> bytes:  # noqa: N802
        return bytes(self.value())

    def pauseProducing(self) -> None:
        # Unlike this one, a real transport may be told to stop when it has stopped.
        if self.disconnecting:
            self.producerState = "paused"
        else:
            super().pauseProducing()

    def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: N802
        """Do nothing: TLS asks for it, and only TCP transports have it."""


class InMemoryBrowser:
    """Connects to a site in memory.

    :ivar response: the head of the answer to the handshake, once there is one.
    :ivar transport: the gateway's transport.
    """

    def __init__(self, site: Any, peer: IAddress | None = None) -> None:
        peer = peer or IPv4Address("TCP", "192.0.2.1", 5000)
        host = IPv4Address("TCP", "192.0.2.80", 8080)
        self.transport = _Transport(hostAddress=host, peerAddress=peer)
        protocol = site.buildProtocol(peer)
        # As a real transport does, so that the handshake can put another one in its place.
        self.transport.protocol = protocol  # type: ignore[attr-defined]
        protocol.makeConnection(self.transport)
        self.response = b""
        self._received = b""

    @property
    def status(self) -> int:
        """The HTTP status of the answer."""
        return int(self.response.split()[1])

    @property
    def is_cut(self) -> bool:
        """Return whether the gateway has ended the TCP connection."""
        return self.transport.disconnecting or self.transport.disconnected

    @property
    def is_read_from(self) -> bool:
        """Return whether the gateway reads from this connection."""
        return self.transport.producerState == "producing"

    def send(self, data: bytes) -> None:
        """Bytes from the browser to the gateway."""
        self.transport.protocol.dataReceived(data)  # type: ignore[attr-defined]

    def shake_hands(self, **changes: Any) -> "InMemoryBrowser":
        """Open a WebSocket connection."""
        self.send(request(**changes))
        self.read_response()
        return self

    def read_response(self) -> bytes:
        """Take the HTTP response; returns its body."""
        written = self._take()
        self.response, _, rest = written.partition(b"\r\n\r\n")
        if b" 101 " in self.response.split(b"\r\n")[0]:
            self._received = rest
            return b""
        return rest

    def frames(self) -> list[tuple[int, bytes]]:
        """The gateway's frames since the last call: opcode, with RSV1 as 0x40, and payload."""
        self._received += self._take()
        frames = []
        while len(self._received) >= 2:
            first, length = self._received[0], self._received[1]
            start = 2
            if length >= 126:
                size = 2 if length == 126 else 8
                length = int.from_bytes(self._received[2 : 2 + size], "big")
                start += size
            frames.append((first & 0x4F, self._received[start : start + length]))
            self._received = self._received[start + length :]
        return frames

    def close_frame(self) -> tuple[int, str]:
        """The close frame that came last: code and reason."""
        [payload] = [payload for opcode, payload in self.frames() if opcode == CLOSE]
        return int.from_bytes(payload[:2], "big"), payload[2:].decode()

    def hang_up(self, *, cleanly: bool = True) -> None:
        """End the TCP connection."""
        reason = ConnectionDone() if cleanly else ConnectionLost()
        self.transport.protocol.connectionLost(Failure(reason))  # type: ignore[attr-defined]

    def _take(self) -> bytes:
        written: bytes = self.transport.value()
        self.transport.clear()
        return written


class InMemoryTlsBrowser(InMemoryBrowser):
    """Does so over TLS.

    :param pem: the gateway's certificate and key.
    """

    def __init__(self, site: Any, pem: bytes) -> None:
        options = PrivateCertificate.loadPEM(pem).options()
        self._clock = site.reactor
        super().__init__(TLSMemoryBIOFactory(options, False, site, self._clock))
        self._tls = SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)
        self._tls.set_connect_state()
        with suppress(SSL.WantReadError):
            self._tls.do_handshake()
        self._exchange()
        self._tls.do_handshake()
        self._exchange()

    def send(self, data: bytes) -> None:
        self._tls.sendall(data)
        self._exchange()

    def _exchange(self) -> None:
        """Pass on the bytes that either end has for the other."""
        if data := self._read_all(self._tls.bio_read):
            super().send(data)
        # Small writes wait for the reactor's next turn, to go together.
        self._clock.advance(0)
        if data := super()._take():
            self._tls.bio_write(data)

    def _take(self) -> bytes:
        self._exchange()
        return self._read_all(self._tls.recv)

    def _read_all(self, read: Callable[[int], bytes]) -> bytes:
        data = b""
        # Until there is no more at the moment, or at all.
        with suppress(SSL.WantReadError, SSL.ZeroReturnError):
            while True:
                data += read(2**16)
        return data
