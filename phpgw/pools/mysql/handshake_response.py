"""A client's answer to the greeting: HandshakeResponse41, and SSLRequest before it."""

import attrs

from phpgw.pools.mysql.capabilities import Capability
from phpgw.pools.mysql.packets import MalformedPacket, PayloadReader

# The longest packet that mysqlnd says it can take; servers take no notice of it.
_MAX_PACKET = 0xC0000000
_RESERVED = 23


@attrs.frozen
class HandshakeResponse:
    """The response to a greeting: the user, the proof, and the flags.

    :ivar collation: the number of a collation, which also names a character set.
    :ivar proof: what shows that the client knows the password.
    :ivar database: the one to begin with; empty for none.
    """

    capabilities: Capability
    collation: int
    user: bytes
    proof: bytes
    database: bytes
    plugin: str

    @classmethod
    def parse(cls, payload: bytes) -> "HandshakeResponse":
        """Read a payload.

        :raises MalformedPacket: if it is something else, or of a client that is too old.
        """
        reader = PayloadReader(payload)
        capabilities = Capability(reader.integer(4))
        if not capabilities & Capability.PROTOCOL_41:
            raise MalformedPacket("a login of a client that is too old")
        reader.take(4)
        collation = reader.integer(1)
        reader.take(_RESERVED)
        if capabilities & Capability.SSL and not reader.left:
            return cls(capabilities, collation, b"", b"", b"", "")
        user, proof = reader.terminated(), _read_proof(reader, capabilities)
        database, plugin = b"", ""
        if capabilities & Capability.CONNECT_WITH_DB and reader.left:
            database = reader.terminated()
        if capabilities & Capability.PLUGIN_AUTH and reader.left:
            plugin = reader.terminated().decode("ascii", "replace")
        return cls(capabilities, collation, user, proof, database, plugin)

    def encode(self) -> bytes:
        """Encode the payload."""
        assert len(self.proof) < 256
        database = self.capabilities & Capability.CONNECT_WITH_DB
        return b"".join(
            (
                self.encode_ssl_request(),
                self.user + b"\0",
                bytes((len(self.proof),)) + self.proof,
                self.database + b"\0" if database else b"",
                self.plugin.encode() + b"\0",
            )
        )

    def encode_ssl_request(self) -> bytes:
        """Encode the payload that asks for TLS, which this one begins with, too."""
        return b"".join(
            (
                self.capabilities.to_bytes(4, "little"),
                _MAX_PACKET.to_bytes(4, "little"),
                bytes((self.collation,)),
                bytes(_RESERVED),
            )
        )


def _read_proof(reader: PayloadReader, capabilities: Capability) -> bytes:
    if capabilities & Capability.PLUGIN_AUTH_LENENC:
        return reader.encoded_text() or b""
    if capabilities & Capability.SECURE_CONNECTION:
        return reader.take(reader.integer(1))
    return reader.terminated()
