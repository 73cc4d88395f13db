"""Outgoing WebSockets in memory: a server that does what a test says, and a PHP that replies."""

from base64 import b64encode
from hashlib import sha1
from struct import pack
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from phpgw.metrics import Metrics
from phpgw.outgoing.backoff import Backoff
from phpgw.outgoing.inbox import InboxLimits
from phpgw.outgoing.masked_frames import apply_mask
from phpgw.outgoing.protocol import OutgoingFactory
from phpgw.outgoing.socket import OutgoingContext, OutgoingSocket
from phpgw.settings.outgoing_url import parse_named_upstream
from phpgw.websocket.limits import WebSocketLimits
from tests.support.fake_backend import AskedEvent, FakeBackendTestCase

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def server_frame(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """Return a frame of a server, which is not masked."""
    first, size = (0x80 if fin else 0) | opcode, len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 0x10000:
        return pack(">BBH", first, 126, size) + payload
    return pack(">BBQ", first, 127, size) + payload


class FakeServer(StringTransport):
    """A server, and the transport to it.

    :ivar is_aborted: whether the gateway has ended the connection at once.
    """

    is_aborted = False

    def __init__(self, clock: Any, factory: Any) -> None:
        super().__init__()
        self._clock = clock
        self._has_ended = False
        self.protocol = factory.buildProtocol(None)

    def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: N802
        """Do nothing."""

    def _checkState(self) -> None:  # noqa: N802
        """Allow what a real transport does: to pause while it closes."""

    def unregisterProducer(self) -> None:  # noqa: N802
        """Do nothing more than a real one if there is none."""
        self.producer = None

    def abortConnection(self) -> None:  # noqa: N802
        self.is_aborted = True
        self._clock.callLater(0, self.lose, ConnectionAborted())

    def loseConnection(self) -> None:
        super().loseConnection()
        self._clock.callLater(0, self.lose, ConnectionDone())

    def lose(self, reason: Exception | None = None) -> None:
        """End the connection."""
        if not self._has_ended:
            self._has_ended = True
            self.protocol.connectionLost(Failure(reason or ConnectionLost()))

    def request(self) -> tuple[str, dict[str, str]]:
        """Return the first line and the headers of the handshake."""
        first, *lines = self.value().decode().removesuffix("\r\n\r\n").split("\r\n")
        return first, {name: value for name, _, value in (line.partition(": ") for line in lines)}

    def accept(self, more: str = "", rest: bytes = b"") -> None:
        """Accept the handshake.

        :param more: further headers, each with its line end.
        :param rest: frames that come with it.
        """
        key = self.request()[1]["Sec-WebSocket-Key"].encode()
        self.clear()
        proof = b64encode(sha1(key + _GUID).digest()).decode()
        response = (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {proof}\r\n{more}\r\n"
        )
        self.send(response.encode() + rest)

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.protocol.dataReceived(data)

    def say(self, *texts: str) -> None:
        """Send text messages, together."""
        self.send(b"".join(server_frame(TEXT, text.encode()) for text in texts))

    def frames(self) -> list[tuple[int, bytes]]:
        """Return the opcode and the payload of each frame of the gateway since the last call."""
        data, found = self.value(), []
        self.clear()
        while data:
            first, second = data[0], data[1]
            assert second & 0x80, "a client masks its frames"
            size, start = second & 0x7F, 2
            if size == 126:
                size, start = int.from_bytes(data[2:4], "big"), 4
            elif size == 127:
                size, start = int.from_bytes(data[2:10], "big"), 10
            mask, payload = data[start : start + 4], data[start + 4 : start + 4 + size]
            found.append((first & 0x0F, apply_mask(payload, mask)))
            data = data[start + 4 + size :]
        return found


class FakeEndpoint:
    """Connects when the test says so.

    :ivar attempts: how often it was asked.
    """

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self.attempts = 0
        self.factory: Any = None
        self.connected: Deferred[Any] | None = None

    def connect(self, factory: Any) -> Deferred[Any]:
        self.attempts += 1
        self.factory = factory
        self.connected = Deferred()
        return self.connected

    def succeed(self) -> FakeServer:
        """Connect to a server."""
        server = FakeServer(self._clock, self.factory)
        server.protocol.makeConnection(server)
        assert self.connected is not None
        connected, self.connected = self.connected, None
        connected.callback(server.protocol)
        return server

    def fail(self, error: Exception) -> None:
        """Fail to connect."""
        assert self.connected is not None
        connected, self.connected = self.connected, None
        connected.errback(error)


class OutgoingTestCase(FakeBackendTestCase):
    """One upstream, whose connections the test makes.

    :ivar socket: the upstream.
    :ivar endpoint: connects it.
    """

    def setUp(self) -> None:
        super().setUp()
        self.endpoint = FakeEndpoint(self.clock)
        self.context = self.make_context()
        self.socket = self.make_socket("feed=wss://example.com/prices?token=s3cret")

    def make_context(self, **limits: Any) -> OutgoingContext:
        usual = {"max_message_size": 1000, "max_unfinished": 4000, "max_outbox": 100_000}
        return OutgoingContext(
            reactor=self.clock,
            factory=OutgoingFactory(
                reactor=self.clock,
                limits=WebSocketLimits(**{**usual, **limits}),
                metrics=Metrics(),
                handshake_timeout=10,
            ),
            events=self.relay.outgoing,
            limits=InboxLimits(count=4, size=1000, max_count=20, max_size=4000),
            make_endpoint=lambda _: self.endpoint,
            # The longest delay.
            make_backoff=lambda: Backoff(lambda low, high: high),
        )

    def make_socket(self, text: str) -> OutgoingSocket:
        return OutgoingSocket(self.context, parse_named_upstream(text))

    @property
    def outgoing_metrics(self) -> Metrics:
        return self.context.factory.metrics

    def opened(self, **reply: Any) -> FakeServer:
        """Start, and open the first connection; PHP replies to the event."""
        self.socket.start()
        return self.open_again(**reply)

    def open_again(self, **reply: Any) -> FakeServer:
        """Open a connection that is being made; PHP replies to the event."""
        server = self.endpoint.succeed()
        server.accept()
        self.last().reply(**reply)
        self.clock.advance(0)
        return server

    def last(self) -> AskedEvent:
        """Return the event that PHP was asked with last."""
        return self.backend.asked[-1]

    def told(self) -> list[tuple[str, bytes]]:
        """Return what PHP was told: the kind of each event, and the message."""
        return [
            (dict(each.event.fields)["event"], each.event.message) for each in self.backend.asked
        ]
