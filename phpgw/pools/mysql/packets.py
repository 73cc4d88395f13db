"""Packets of MySQL's protocol, and the integers and texts in them."""

from collections.abc import Iterator

import attrs

# A packet's head: three bytes for its length, one for its number in the exchange.
HEAD_SIZE = 4
# A packet of this length is continued by the next one.
CONTINUED = 0xFFFFFF
# The longest packet of a login or a cleaning. Servers and mysqlnd need some hundred bytes.
MAX_SHORT_PACKET = 16 * 1024

_NULL = 0xFB
# The first byte of a longer integer, and how many bytes follow.
_INTEGER_SIZES = {0xFC: 2, 0xFD: 3, 0xFE: 8}


class MalformedPacket(Exception):
    """The peer has sent what is not MySQL's protocol, or not what must come here."""


@attrs.frozen
class MySqlPacket:
    """One packet.

    :ivar sequence: its number in the exchange, from 0 to 255.
    """

    sequence: int
    payload: bytes

    def reply(self, payload: bytes) -> bytes:
        """Encode the packet that follows this one."""
        return encode_packet(payload, (self.sequence + 1) % 256)


def encode_packet(payload: bytes, sequence: int = 0) -> bytes:
    """Encode a packet that is shorter than :data:`CONTINUED`."""
    return (len(payload) | sequence << 24).to_bytes(HEAD_SIZE, "little") + payload


class PacketDecoder:
    """Splits bytes into packets, none longer than :data:`MAX_SHORT_PACKET`."""

    def __init__(self) -> None:
        self._received = bytearray()

    def __len__(self) -> int:
        """Return how many bytes belong to no complete packet yet."""
        return len(self._received)

    def feed(self, data: bytes) -> Iterator[MySqlPacket]:
        """Yield the packets that are complete now.

        :raises MalformedPacket: at one that is too long.
        """
        self._received += data
        while len(self._received) >= HEAD_SIZE:
            head = int.from_bytes(self._received[:HEAD_SIZE], "little")
            length, sequence = head & 0xFFFFFF, head >> 24
            if length > MAX_SHORT_PACKET:
                raise MalformedPacket(f"a packet of {length} bytes")
            end = HEAD_SIZE + length
            if len(self._received) < end:
                return
            payload = bytes(self._received[HEAD_SIZE:end])
            del self._received[:end]
            yield MySqlPacket(sequence, payload)


class PayloadReader:
    """Reads the fields of a payload, one after another.

    Each method raises :exc:`MalformedPacket` if the payload ends too early.
    """

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._position = 0

    @property
    def left(self) -> int:
        """Return how many bytes are left."""
        return len(self._payload) - self._position

    def take(self, size: int) -> bytes:
        """Return the next bytes."""
        if size > self.left:
            raise MalformedPacket("a packet that ends too early")
        start, self._position = self._position, self._position + size
        return self._payload[start : self._position]

    def integer(self, size: int) -> int:
        """Return an integer of that many bytes."""
        return int.from_bytes(self.take(size), "little")

    def terminated(self) -> bytes:
        """Return the bytes up to the next NUL."""
        end = self._payload.find(b"\0", self._position)
        if end < 0:
            raise MalformedPacket("a text without an end")
        start, self._position = self._position, end + 1
        return self._payload[start:end]

    def rest(self) -> bytes:
        """Return all that is left."""
        return self.take(self.left)

    def encoded_integer(self) -> int:
        """Return a length-encoded integer."""
        first = self.integer(1)
        if first < _NULL:
            return first
        size = _INTEGER_SIZES.get(first)
        if size is None:
            raise MalformedPacket(f"an integer that begins with {first}")
        return self.integer(size)

    def encoded_text(self) -> bytes | None:
        """Return a length-encoded text; ``None`` for NULL."""
        if self.left and self._payload[self._position] == _NULL:
            self._position += 1
            return None
        return self.take(self.encoded_integer())
