"""Fakes of a browser, its connection and the network."""

from collections.abc import Callable, Iterable, Sequence
from email.message import Message as Headers
from functools import partial
from http.client import HTTPResponse
from io import BytesIO
from typing import Any, cast

import attrs
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, ISSLTransport, ITCPTransport
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from zope.interface import alsoProvides, directlyProvides

from phpgw.backend.event import Handshake, Identity
from phpgw.hub.client import Client, Connection, send_to_each
from phpgw.hub.commands import Target
from phpgw.web.site import GatewaySite

LOCAL = IPv4Address("TCP", "127.0.0.1", 51110)
REMOTE = IPv4Address("TCP", "203.0.113.7", 51110)
UNIX = UNIXAddress(None)

FORM = ("Content-Type", "application/x-www-form-urlencoded")


class FakeConnection:
    """Records what it is asked to do; a :class:`phpgw.hub.client.Connection`.

    :ivar sent: the messages, each with whether it was binary.
    :ivar gathered: how many of them were to go together.
    :ivar closed: code and reason, once it was closed.
    :ivar paused: whether reading is paused.
    :ivar is_congested: whether something waits for the peer; to be set by the test.
    :ivar waiting: what is to be called once nothing does.
    """

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, bool]] = []
        self.gathered = 0
        self.closed: tuple[int, str] | None = None
        self.paused = False
        self.is_congested = False
        self.waiting: list[Callable[[], None]] = []

    def send_message(self, payload: bytes, is_binary: bool, target: Target | None = None) -> None:
        self.sent.append((payload, is_binary))

    def message_sender(
        self, payload: bytes, is_binary: bool, target: Target | None = None
    ) -> Callable[[Sequence[Connection]], None]:
        return partial(send_to_each, payload, is_binary, target)

    def gather_message(self, payload: bytes, is_binary: bool, target: Target | None = None) -> None:
        self.gathered += 1
        self.send_message(payload, is_binary)

    def close(self, code: int, reason: str, cause: str = "command") -> None:
        self.closed = (code, reason)

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def when_writable(self, call: Callable[[], None]) -> bool:
        if self.is_congested:
            self.waiting.append(call)
        return self.is_congested


def handshake(**changes: Any) -> Handshake:
    """Make the handshake of some browser, with these changes."""
    usual = Handshake(
        peer_host="127.0.0.1",
        peer_port=51110,
        server_host="127.0.0.1",
        server_port=8080,
        is_secure=False,
        host=b"localhost:8080",
        path=b"/ws",
        query=b"",
        headers=(),
    )
    return attrs.evolve(usual, **changes)


def identity(client_id: str = "127.0.0.1:51110", **changes: Any) -> Identity:
    """Make the identity of some client, with these changes."""
    return Identity(**{"client_id": client_id, "handshake": handshake(), **changes})


def fake_client(client_id: str = "127.0.0.1:51110") -> tuple[Client, FakeConnection]:
    """A connected client, and what stands for its connection."""
    connection = FakeConnection()
    return Client(identity(client_id), connection), connection


@attrs.frozen
class Answer:
    """An HTTP response."""

    status: int
    headers: Headers
    body: bytes


class _Transport(StringTransport):
    is_half_closed = False

    def __init__(self, host: IAddress | None, peer: IAddress) -> None:
        super().__init__(host, peer)
        # As far as it is used.
        alsoProvides(self, ITCPTransport)

    def loseWriteConnection(self) -> None:  # noqa: N802
        """Have the peer read the end of what was written."""
        self.disconnecting = self.is_half_closed = True

    def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: N802
        """Do nothing: TLS asks for it, and only TCP transports have it."""


class Exchange:
    """A connection to a site, in memory.

    :param limit: bytes that a request's body may have.
    :param peer: who connects.
    :param host: where it connects to.
    :param wrapper: what is between the connection and the site.
    :param options: more of the site's own.
    :ivar metrics: what the site counts.
    """

    def __init__(
        self,
        root: Resource,
        *,
        limit: int = 1024,
        peer: IAddress = LOCAL,
        host: IAddress | None = None,
        is_secure: bool = False,
        wrapper: Callable[[Any], Any] | None = None,
        **options: Any,
    ) -> None:
        self.clock = MemoryReactorClock()
        self.transport = _Transport(host, peer)
        if is_secure:
            directlyProvides(self.transport, ISSLTransport)
        self._site = site = GatewaySite(root, limit, self.clock, **options)
        self.metrics = site.idle_connections.metrics
        factory: Any = site if wrapper is None else wrapper(site)
        factory.doStart()
        self._channel = factory.buildProtocol(peer)
        self._channel.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        """Send these bytes to the site, and let it answer all that is in them."""
        self._channel.dataReceived(data)
        while self._site.pipeline_scheduler.is_busy:
            self.clock.advance(0)

    def hang_up(self) -> None:
        """End the connection."""
        self._channel.connectionLost(Failure(ConnectionDone()))

    def answer(self, method: str = "POST") -> Answer:
        """The answer, as Python's own HTTP client reads it."""
        response = HTTPResponse(cast(Any, _Socket(self.transport.value())), method=method)
        response.begin()
        return Answer(response.status, response.headers, response.read())


class _Socket:
    def __init__(self, received: bytes) -> None:
        self._received = received

    def makefile(self, mode: str) -> BytesIO:
        return BytesIO(self._received)


def request(
    root: Resource,
    method: str,
    target: str,
    *,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    limit: int = 1024,
    peer: IAddress = LOCAL,
    host: IAddress | None = None,
    is_secure: bool = False,
) -> Answer:
    """Make one request of a site with this root.

    :param headers: beside, or in place of, Host and Content-Length; an empty value leaves its
        header out.
    """
    exchange = Exchange(root, limit=limit, peer=peer, host=host, is_secure=is_secure)
    exchange.send(request_head(method, target, headers, len(body)) + body)
    return exchange.answer(method)


def request_head(
    method: str, target: str, headers: Iterable[tuple[str, str]] = (), length: int = 0
) -> bytes:
    """A request's line and headers, with the empty line behind them."""
    given = list(headers)
    names = {name.lower() for name, _ in given}
    usual = [("Host", "localhost:8080"), ("Content-Length", str(length))]
    lines = [f"{method} {target} HTTP/1.1"]
    for name, value in [*(each for each in usual if each[0].lower() not in names), *given]:
        if value:
            lines.append(f"{name}: {value}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def multipart(fields: Iterable[tuple[str, bytes]]) -> tuple[tuple[str, str], bytes]:
    """A form the way PHP's curl sends an array: its header and its body."""
    boundary = "------------------------f00dfacecafe"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + value
        for name, value in fields
    ]
    body = b"\r\n".join([*parts, f"--{boundary}--\r\n".encode()])
    return ("Content-Type", f"multipart/form-data; boundary={boundary}"), body
