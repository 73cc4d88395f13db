"""The answers OK, ERR and EOF of MySQL's protocol."""

import attrs

from phpgw.pools.mysql.packets import MalformedPacket, PayloadReader

OK = 0x00
EOF = 0xFE
ERR = 0xFF

# Bits of a status: no good index, no index, slow: of the last query, and not of the session.
_OF_THE_QUERY = 0x0010 | 0x0020 | 0x0800


@attrs.frozen
class OkAnswer:
    """A success.

    :ivar status: the state of the session, as bits: ``SERVER_STATUS_...``.
    """

    affected_rows: int
    last_insert_id: int
    status: int
    warnings: int

    @classmethod
    def parse(cls, payload: bytes) -> "OkAnswer":
        """Read a payload.

        :raises MalformedPacket: if it is something else.
        """
        reader = PayloadReader(payload)
        if reader.integer(1) != OK:
            raise MalformedPacket("no OK")
        rows, last_id = reader.encoded_integer(), reader.encoded_integer()
        return cls(rows, last_id, reader.integer(2), reader.integer(2))

    def encode(self) -> bytes:
        """Encode the payload of one that concerns no rows."""
        return b"\0\0\0" + self.status.to_bytes(2, "little") + self.warnings.to_bytes(2, "little")


@attrs.frozen
class ErrAnswer:
    """An error.

    :ivar state: SQLSTATE: five characters.
    """

    code: int
    state: str
    message: str

    @classmethod
    def parse(cls, payload: bytes) -> "ErrAnswer":
        """Read a payload, also one without a state, as servers send before the login.

        :raises MalformedPacket: if it is something else.
        """
        reader = PayloadReader(payload)
        if reader.integer(1) != ERR:
            raise MalformedPacket("no error")
        code, text = reader.integer(2), reader.rest().decode("utf-8", "replace")
        if text.startswith("#"):
            return cls(code, text[1:6], text[6:])
        return cls(code, "HY000", text)

    def encode(self) -> bytes:
        """Encode the payload for a client that is, or can be, logged in."""
        return self._head() + f"#{self.state}{self.message}".encode()

    def encode_for_greeting(self) -> bytes:
        """Encode the payload for one that has not been greeted yet: it knows no states."""
        return self._head() + self.message.encode()

    def _head(self) -> bytes:
        return bytes((ERR,)) + self.code.to_bytes(2, "little")


def session_status(status: int) -> int:
    """Return a status without what it says of the last query."""
    return status & ~_OF_THE_QUERY


def parse_eof(payload: bytes) -> int:
    """Read an EOF.

    :returns: the status.
    :raises MalformedPacket: if it is something else.
    """
    reader = PayloadReader(payload)
    if len(payload) != 5 or reader.integer(1) != EOF:
        raise MalformedPacket("no EOF")
    reader.take(2)
    return reader.integer(2)
