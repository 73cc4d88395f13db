"""A Redis in memory that speaks RESP3 with the bus, as far as a test says what it replies."""

from collections.abc import Callable
from typing import Any

from hiredis import Reader
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.error import ConnectionRefusedError as ConnectRefused
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

HELLO = {"server": "redis", "version": "7.0.15", "id": 7, "mode": "standalone", "role": "master"}

# A reply, or None for silence.
Reply = bytes | None


def encoded(value: object) -> bytes:
    """Return a value in RESP3."""
    if isinstance(value, dict):
        parts = [encoded(each) for pair in value.items() for each in pair]
        return b"%%%d\r\n" % len(value) + b"".join(parts)
    if isinstance(value, list):
        return b"*%d\r\n" % len(value) + b"".join(map(encoded, value))
    if isinstance(value, int):
        return b":%d\r\n" % value
    if value is None:
        return b"_\r\n"
    data = value.encode() if isinstance(value, str) else bytes(value)  # type: ignore[call-overload]
    return b"$%d\r\n%b\r\n" % (len(data), data)


def push(*values: object) -> bytes:
    """Return a push notification in RESP3."""
    return b">%d\r\n" % len(values) + b"".join(map(encoded, values))


@implementer(IStreamClientEndpoint)
class FakeRedis:
    """Replies to each command at once. It is also the endpoint that leads to it.

    :ivar is_down: whether connections are refused.
    :ivar is_silent: whether nothing is replied.
    :ivar is_deaf: whether published frames do not come back.
    :ivar replies: what is replied to a command, by its name: bytes of RESP3, or a function of the
        command's words that returns them.
    :ivar commands: all commands, as lists of words.
    :ivar transports: those of all connections.
    """

    def __init__(self) -> None:
        self.is_down = self.is_silent = self.is_deaf = False
        self.commands: list[list[bytes]] = []
        self.replies: dict[bytes, Reply | Callable[[list[bytes]], Reply]] = {
            b"HELLO": encoded(HELLO),
            b"EXISTS": encoded(0),
            b"SET": b"+OK\r\n",
            b"PING": b"+PONG\r\n",
            b"SUBSCRIBE": self._subscribe,
            b"UNSUBSCRIBE": self._unsubscribe,
            b"PUBLISH": self._publish,
        }
        self.transports: list[StringTransport] = []
        self._protocol: Any = None
        self._subscribed: set[bytes] = set()

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:  # noqa: N803
        """See ``IStreamClientEndpoint``."""
        if self.is_down:
            return fail(ConnectRefused())
        self._subscribed.clear()
        self._protocol = protocolFactory.buildProtocol(None)  # type: ignore[arg-type]
        transport = _FakeTransport(self)
        self.transports.append(transport)
        self._protocol.makeConnection(transport)
        return succeed(self._protocol)

    def names(self) -> list[bytes]:
        """Return the names of the commands."""
        return [words[0] for words in self.commands]

    def send(self, data: bytes) -> None:
        """Send bytes to the bus."""
        self._protocol.dataReceived(data)

    def drop(self) -> None:
        """Close the connection."""
        self._protocol.connectionLost(Failure(ConnectionDone()))

    def forget(self) -> None:
        """Forget all subscriptions."""
        self._subscribed.clear()

    def take(self, words: list[bytes]) -> None:
        """Take a command, and reply."""
        self.commands.append(words)
        if self.is_silent:
            return
        reply = self.replies[words[0]]
        if callable(reply):
            reply = reply(words)
        if reply is not None:
            self.send(reply)

    def _subscribe(self, words: list[bytes]) -> bytes:
        self._subscribed.update(words[1:])
        return b"".join(push("subscribe", each, 1) for each in words[1:])

    def _unsubscribe(self, words: list[bytes]) -> bytes:
        self._subscribed.difference_update(words[1:])
        return b"".join(push("unsubscribe", each, 1) for each in words[1:])

    def _publish(self, words: list[bytes]) -> bytes:
        count = int(words[1] in self._subscribed)
        heard = push("message", words[1], words[2]) if count and not self.is_deaf else b""
        return heard + encoded(count)


class _FakeTransport(StringTransport):
    """A transport that hands each command to the engine, in the order of writing."""

    def __init__(self, redis: FakeRedis) -> None:
        super().__init__()
        self._redis = redis
        self._reader = Reader()

    def write(self, data: bytes) -> None:
        super().write(data)
        self._reader.feed(data)
        while (words := self._reader.gets()) is not False:
            self._redis.take(words)

    def loseConnection(self) -> None:
        super().loseConnection()
        self._redis.drop()
