"""WebSocket clients made of as little as possible: thousands of them, and such as misbehave."""

import zlib
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred, DeferredQueue, DeferredSemaphore, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

_TEXT, _BINARY, _CLOSE, _PING, _PONG = 1, 2, 8, 9, 10
_FINAL, _COMPRESSED, _MASKED = 0x80, 0x40, 0x80
_ABNORMAL = 1006
_DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n"
# How many connect at once; and how many from one address, as browsers behind one proxy do.
_CONNECTING = 100
_FROM_ONE_ADDRESS = 100
_PATIENCE = 20


class Refused(Exception):
    """The gateway did not take the client.

    :ivar status: of its answer; ``None`` if the connection was closed without one.
    """

    def __init__(self, status: int | None) -> None:
        super().__init__(status)
        self.status = status


class LightClient(Protocol):
    """One client.

    :ivar on_message: gets each message; at first, what keeps it for :meth:`receive`.
    :ivar is_mute: whether it leaves pings and close frames without an answer.
    :ivar opened: fires with this client, or fails with :exc:`Refused`.
    :ivar code: of the close frame that it got.
    """

    transport: Any
    is_mute = False

    def __init__(self, request: bytes) -> None:
        self.opened: Deferred[LightClient] = Deferred()
        self.code: int | None = None
        self._request = request
        self._messages: DeferredQueue[bytes | None] = DeferredQueue()
        self.on_message: Callable[[bytes], object] = self._messages.put
        self._data = b""
        self._is_open = False
        self._has_ended = False
        self._waiting_for_end: list[Deferred[int]] = []
        self._inflate: Any = None

    @property
    def id(self) -> str:
        """Return its client id."""
        here = self.transport.getHost()
        return f"{here.host}:{here.port}"

    @property
    def ended(self) -> Deferred[int]:
        """Fires with the code with which it ended, 1006 if it broke off; new on each access."""
        ended: Deferred[int] = Deferred()
        if self._has_ended:
            ended.callback(self.code or _ABNORMAL)
        else:
            self._waiting_for_end.append(ended)
        return ended

    def send(self, message: str | bytes) -> None:
        """Send a text or a binary message."""
        if isinstance(message, str):
            self.transport.write(frame(_TEXT, message.encode()))
        else:
            self.transport.write(frame(_BINARY, message))

    def send_now(self, data: bytes) -> None:
        """Have the kernel take these bytes, before whatever happens to the connection next."""
        sent = self.transport.getHandle().send(data)
        assert sent == len(data), "too much at once"

    def receive(self) -> Deferred[bytes]:
        """The next message.

        :raises ConnectionError: if there is none, since the connection has ended.
        """

        def check(message: bytes | None) -> bytes:
            if message is None:
                self._messages.put(None)
                raise ConnectionError(f"ended with {self.code or _ABNORMAL}")
            return message

        return self._messages.get().addCallback(check)

    def leave(self) -> Deferred[int]:
        """Close in good order."""
        self.transport.write(frame(_CLOSE, (1000).to_bytes(2)))
        return self.ended

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self.transport.write(self._request)

    def dataReceived(self, data: bytes) -> None:
        self._data += data
        if not self._is_open and not self._shake_hands():
            return
        for first, payload in self._frames():
            self._take(first, payload)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._has_ended = True
        if not self._is_open:
            self.opened.errback(Refused(None))
        self._messages.put(None)
        waiting, self._waiting_for_end = self._waiting_for_end, []
        for ended in waiting:
            ended.callback(self.code or _ABNORMAL)

    def _shake_hands(self) -> bool:
        head, end, rest = self._data.partition(b"\r\n\r\n")
        if not end:
            return False
        status = int(head.split()[1])
        self._is_open = True
        if status != 101:
            self.opened.errback(Refused(status))
            self.transport.abortConnection()
            return False
        if b"permessage-deflate" in head:
            self._inflate = zlib.decompressobj(-15)
        self._data = rest
        self.opened.callback(self)
        return True

    def _frames(self) -> Iterator[tuple[int, bytes]]:
        """The frames that are there: of each its first byte and its payload."""
        data, begin = self._data, 0
        while len(data) >= begin + 2:
            length, start = data[begin + 1], begin + 2
            if length > 125:
                start += 2 if length == 126 else 8
                # Where part of it is missing, so is the frame.
                length = int.from_bytes(data[begin + 2 : start])
            if len(data) < start + length:
                break
            first, begin = data[begin], start + length
            yield first, data[start:begin]
        self._data = data[begin:]

    def _take(self, first: int, payload: bytes) -> None:
        kind = first & 0x0F
        if kind in (_TEXT, _BINARY):
            if first & _COMPRESSED:
                payload = self._inflate.decompress(payload + b"\x00\x00\xff\xff")
            self.on_message(payload)
        elif kind == _CLOSE:
            self.code = int.from_bytes(payload[:2])
            if not self.is_mute:
                self.transport.write(frame(_CLOSE, payload[:2]))
                self.transport.loseConnection()
        elif kind == _PING and not self.is_mute:
            self.transport.write(frame(_PONG, payload))


def frame(kind: int, payload: bytes) -> bytes:
    """A client's frame, masked with zeros: RFC 6455, section 5.2."""
    length = len(payload)
    if length < 126:
        head = bytes((_FINAL | kind, _MASKED | length))
    elif length < 0x10000:
        head = bytes((_FINAL | kind, _MASKED | 126)) + length.to_bytes(2)
    else:
        head = bytes((_FINAL | kind, _MASKED | 127)) + length.to_bytes(8)
    return head + bytes(4) + payload


class LightClients:
    """Clients of one gateway.

    :param port: where it is, on 127.0.0.1.
    :ivar members: those that have come in.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._numbers = count()
        self._places = DeferredSemaphore(_CONNECTING)
        self.members: list[LightClient] = []

    def join(self, query: str = "", *, compression: bool = False) -> Deferred[LightClient]:
        """One client more.

        :param query: of the URL.
        :param compression: whether it offers permessage-deflate.
        :raises Refused: if the gateway does not take it.
        """
        from twisted.internet import reactor

        member = LightClient(self.request(query, compression=compression))
        # From so many addresses that none is suspicious of too many clients.
        number = next(self._numbers) // _FROM_ONE_ADDRESS
        address = f"127.0.{1 + number // 250}.{1 + number % 250}"
        endpoint = TCP4ClientEndpoint(
            reactor, "127.0.0.1", self._port, _PATIENCE, bindAddress=(address, 0)
        )
        connecting: Deferred[Any] = endpoint.connect(_Factory(member))
        connecting.addErrback(_refused)
        return connecting.addCallback(lambda _: member.opened).addCallback(self._came_in)

    def request(self, query: str = "", *, compression: bool = False) -> bytes:
        """The request for an opening handshake; see :meth:`join`."""
        return (
            f"GET /ws?{query} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {'A' * 22}==\r\n{_DEFLATE if compression else ''}\r\n"
        ).encode()

    async def join_all(self, number: int, **options: Any) -> list[LightClient]:
        """So many clients more, some of them at once; see :meth:`join`."""

        def join() -> Deferred[LightClient]:
            return self.join(**options)

        return await gatherResults([self._places.run(join) for _ in range(number)])

    async def leave(self) -> None:
        """Have all leave, some at once; whoever has gone has gone."""
        for first in range(0, len(self.members), _CONNECTING):
            some = self.members[first : first + _CONNECTING]
            await gatherResults([member.leave() for member in some])
        self.members.clear()

    def abort(self) -> Deferred[Any]:
        """Break off all connections."""
        for member in self.members:
            member.transport.abortConnection()
        return gatherResults([member.ended for member in self.members])

    def _came_in(self, member: LightClient) -> LightClient:
        self.members.append(member)
        return member


class _Factory(Factory):
    noisy = False

    def __init__(self, member: LightClient) -> None:
        self._member = member

    def buildProtocol(self, addr: IAddress | None) -> LightClient:
        return self._member


def _refused(failure: Failure) -> None:
    raise Refused(None)
