"""Messages as frames (RFC 6455, section 5.2), each made once however many clients it goes to.

Several messages that each go to many clients are sent by turns (:mod:`phpgw.time_slices`). So what
has taken a while to compress is kept for longer than the next message.
"""

import zlib
from struct import pack

_TEXT, _BINARY = 0x81, 0x82
_COMPRESSED = 0x40
# What ends each deflated message, and is left out: RFC 7692, section 7.2.1.
_TAIL = b"\x00\x00\xff\xff"
# zlib's limits: for a window, what of it stays unused, for the rest of its memory.
_FEWEST_BITS = 9
_UNUSED = 262
_MOST_MEMORY = 8
# From how many bytes on a message takes more than 100 us to compress.
_LARGE = 4096
# Bytes of such messages, and of what they became, that are kept beside the last one.
_MOST_KEPT = 16_000_000


class FrameEncoder:
    """Makes frames, and keeps those of the message that was sent last.

    A compressed message refers to no earlier one, as RFC 7692 (section 7.1.1.1) leaves it to the
    sender, so that it is the same for all clients; and none needs a compressor of its own.
    """

    def __init__(self) -> None:
        self._payload: bytes | None = None
        self._is_binary = False
        # By window.
        self._frames: dict[int | None, bytes] = {}
        # Large messages by who they are and by window, each with what it became; those that were
        # sent last are last. That a message is here keeps its identity from being another's.
        self._kept: dict[tuple[int, int], tuple[bytes, bytes]] = {}
        self._kept_size = 0

    def encode(self, payload: bytes, is_binary: bool, window_bits: int | None = None) -> bytes:
        """A message's only frame.

        :param window_bits: the size of the peer's window, from 9 to 15, if the message may be
            compressed; it is where that makes it smaller.
        """
        if payload is not self._payload or is_binary is not self._is_binary:
            self._payload, self._is_binary = payload, is_binary
            self._frames = {}
        elif (frame := self._frames.get(window_bits)) is not None:
            return frame
        frame = self._frames[window_bits] = self._make(payload, is_binary, window_bits)
        return frame

    def _make(self, payload: bytes, is_binary: bool, window_bits: int | None) -> bytes:
        first = _BINARY if is_binary else _TEXT
        if window_bits is None:
            return _head(first, len(payload)) + payload
        deflated = self._deflated(payload, window_bits)
        if len(deflated) < len(payload):
            return _head(first | _COMPRESSED, len(deflated)) + deflated
        return self.encode(payload, is_binary)

    def _deflated(self, payload: bytes, window_bits: int) -> bytes:
        if len(payload) < _LARGE:
            return _deflate(payload, window_bits)
        key = id(payload), window_bits
        kept = self._kept.pop(key, None)
        if kept is None:
            kept = payload, _deflate(payload, window_bits)
            self._kept_size += sum(map(len, kept))
        self._kept[key] = kept
        while self._kept_size > _MOST_KEPT and len(self._kept) > 1:
            oldest = self._kept.pop(next(iter(self._kept)))
            self._kept_size -= sum(map(len, oldest))
        return kept[1]


_SHORT_HEADS = {
    first: [bytes((first, length)) for length in range(126)]
    for first in (_TEXT, _BINARY, _TEXT | _COMPRESSED, _BINARY | _COMPRESSED)
}


def _head(first: int, length: int) -> bytes:
    if length < 126:
        return _SHORT_HEADS[first][length]
    if length < 0x10000:
        return pack(">BBH", first, 126, length)
    return pack(">BBQ", first, 127, length)


def _deflate(payload: bytes, window_bits: int) -> bytes:
    # A window larger than the message is of no use, and takes 256 KB of memory, and
    # up to 90 us to get it, where 6 KB and 2 us would do.
    bits = min(window_bits, max(_FEWEST_BITS, (len(payload) + _UNUSED).bit_length()))
    compressor = zlib.compressobj(wbits=-bits, memLevel=min(_MOST_MEMORY, bits - 6))
    deflated = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return deflated.removesuffix(_TAIL)
