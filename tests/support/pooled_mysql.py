"""A MySQL in memory at the other end of a pool's connections."""

import re
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.python.failure import Failure
from zope.interface import implementer

from phpgw.pools.mysql.capabilities import OFFERED
from phpgw.pools.mysql.greeting import NATIVE, Greeting
from phpgw.pools.mysql.handshake_response import HandshakeResponse
from phpgw.pools.mysql.packets import MySqlPacket, PacketDecoder, encode_packet
from phpgw.pools.mysql.responses import ErrAnswer

OK = encode_packet(b"\0\0\0\2\0\0\0", 1)
_EOF = b"\xfe\0\0\2\0"


def encode_rows(columns: int, *rows: tuple[bytes | None, ...]) -> bytes:
    """Encode an answer with these rows."""
    payloads = [bytes((columns,)), *(b"a column" for _ in range(columns)), _EOF]
    for row in rows:
        payloads.append(b"".join(b"\xfb" if v is None else bytes((len(v),)) + v for v in row))
    numbered = enumerate([*payloads, _EOF], 1)
    return b"".join(encode_packet(payload, number) for number, payload in numbered)


class PooledMySqlTransport(StringTransportWithDisconnection):
    """The transport of one connection, which answers what it knows.

    :ivar login: the client's login.
    :ivar commands: all commands of it.
    :ivar is_silent: whether nothing is answered from now on.
    """

    protocol: Any

    def __init__(self, server: "PooledMySql", number: int) -> None:
        super().__init__()
        self.number = number
        self.login: HandshakeResponse | None = None
        self.commands: list[bytes] = []
        self.is_silent = server.is_silent
        self._server = server
        self._decoder = PacketDecoder()

    def write(self, data: bytes) -> None:
        super().write(data)
        answers = [self._answer(packet) for packet in self._decoder.feed(data)]
        if not self.is_silent and self.connected:
            for answer in filter(None, answers):
                self.send(answer)

    def send(self, data: bytes) -> None:
        """Send bytes to the pool."""
        self.protocol.dataReceived(data)

    def drop(self) -> None:
        """Close the connection."""
        self.connected = False
        self.protocol.connectionLost(Failure(ConnectionDone()))

    def _answer(self, packet: MySqlPacket) -> bytes:
        if self.login is None:
            self.login = HandshakeResponse.parse(packet.payload)
            refusal = self._server.refusal
            return encode_packet(refusal.encode(), 2) if refusal else packet.reply(OK[4:])
        self.commands.append(packet.payload)
        return self._server.answer(packet.payload, self.login.database)


@implementer(IStreamClientEndpoint)
class PooledMySql:
    """A server that answers at once. It is also the endpoint that leads to it.

    :ivar transports: those of all connections; their numbers begin with 1.
    :ivar error: why no connection can be made; ``None`` if one can.
    :ivar refusal: the answer to logins; ``None`` for OK.
    :ivar greeting: what it greets with.
    :ivar role: the role of all sessions.
    :ivar init_connect: what it runs at each login.
    :ivar is_silent: whether new connections get no answers.
    """

    def __init__(self) -> None:
        self.transports: list[PooledMySqlTransport] = []
        self.error: Exception | None = None
        self.refusal: ErrAnswer | None = None
        self.greeting = Greeting(b"8.0.1-fake", 0, bytes(range(1, 21)), OFFERED, 45, 2, NATIVE)
        self.role = b"NONE"
        self.init_connect = b""
        self.is_silent = False

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:  # noqa: N803
        """See ``IStreamClientEndpoint``."""
        if self.error is not None:
            return fail(self.error)
        protocol: Any = protocolFactory.buildProtocol(None)  # type: ignore[arg-type]
        transport = PooledMySqlTransport(self, len(self.transports) + 1)
        transport.protocol = protocol
        self.transports.append(transport)
        protocol.makeConnection(transport)
        greeting = attrs.evolve(self.greeting, connection_id=transport.number)
        transport.send(encode_packet(greeting.encode()))
        return succeed(protocol)

    def answer(self, command: bytes, database: bytes) -> bytes:
        """Return the answer to a command."""
        facts = (database or None, b"utf8mb4", b"utf8mb4", b"utf8mb4_general_ci")
        if command[:1] in (b"\x01", b"\x19"):
            return b""
        if command.startswith(b"\x03SELECT DATABASE()"):
            return encode_rows(5, (*facts, b"%d" % len(self.init_connect)))
        if command == b"\x03SELECT CURRENT_ROLE()":
            return encode_rows(1, (self.role,))
        if command == b"\x03SHOW PROFILES":
            return encode_rows(3)
        if nonce := re.match(rb"\x03SELECT '(\w+)',", command):
            return encode_rows(6, (nonce[1], *facts, self.role))
        return OK
