"""A server's greeting, the first packet on each connection: HandshakeV10."""

import attrs

from phpgw.pools.mysql.capabilities import OFFERED, REQUIRED, Capability
from phpgw.pools.mysql.packets import MalformedPacket, PayloadReader
from phpgw.pools.mysql.responses import ERR, ErrAnswer

NONCE_SIZE = 20
NATIVE = "mysql_native_password"

_VERSION_10 = 10
# The first part of the nonce, before the capabilities.
_FIRST_PART = 8
# The second part has a NUL behind it, and was padded to 13 bytes by the first servers with it.
_LEAST_SECOND_PART = 13


class GreetedWithError(Exception):
    """The server does not want the connection: it is full, or has blocked this host.

    :ivar error: why.
    """

    def __init__(self, error: ErrAnswer) -> None:
        super().__init__(f"{error.message} ({error.code})")
        self.error = error


@attrs.frozen
class Greeting:
    """A greeting.

    :ivar version: the server's, which programs read to tell MySQL from MariaDB.
    :ivar connection_id: the server's number for the connection, as in ``KILL``.
    :ivar nonce: 20 bytes that a password is scrambled with.
    :ivar collation: the server's default.
    :ivar plugin: the way of login that the server proposes.
    """

    version: bytes
    connection_id: int
    nonce: bytes
    capabilities: Capability
    collation: int
    status: int
    plugin: str

    @classmethod
    def parse(cls, payload: bytes) -> "Greeting":
        """Read a payload.

        :raises GreetedWithError: if the server refuses.
        :raises MalformedPacket: if it is no greeting, or of a server that is too old.
        """
        reader = PayloadReader(payload)
        version = reader.integer(1)
        if version == ERR:
            raise GreetedWithError(ErrAnswer.parse(payload))
        if version != _VERSION_10:
            raise MalformedPacket(f"a greeting of the version {version}")
        text, connection_id = reader.terminated(), reader.integer(4)
        nonce = reader.take(_FIRST_PART)
        reader.take(1)
        low, collation, status, high = (reader.integer(size) for size in (2, 1, 2, 2))
        capabilities = Capability(low | high << 16)
        if ~capabilities & REQUIRED:
            raise MalformedPacket("a greeting of a server that is too old")
        nonce_size = reader.integer(1)
        reader.take(10)
        nonce += reader.take(max(_LEAST_SECOND_PART, nonce_size - _FIRST_PART))
        plugin = reader.rest().split(b"\0")[0].decode("ascii", "replace")
        return cls(text, connection_id, nonce[:NONCE_SIZE], capabilities, collation, status, plugin)

    def encode(self) -> bytes:
        """Encode the payload."""
        low, high = self.capabilities & 0xFFFF, self.capabilities >> 16
        return b"".join(
            (
                bytes((_VERSION_10,)),
                self.version + b"\0",
                self.connection_id.to_bytes(4, "little"),
                self.nonce[:_FIRST_PART] + b"\0",
                low.to_bytes(2, "little"),
                bytes((self.collation,)),
                self.status.to_bytes(2, "little"),
                high.to_bytes(2, "little"),
                bytes((NONCE_SIZE + 1,)),
                bytes(10),
                self.nonce[_FIRST_PART:] + b"\0",
                self.plugin.encode() + b"\0",
            )
        )

    def for_php(self, connection_id: int, nonce: bytes) -> "Greeting":
        """Return the greeting for PHP on another connection: the same server, to be used here."""
        return attrs.evolve(
            self,
            connection_id=connection_id,
            nonce=nonce,
            capabilities=self.capabilities & OFFERED,
            plugin=NATIVE,
        )
