"""Encoding of messages as frames (RFC 6455, section 5.2), once for all receivers of a message.

Several broadcasts run in turn (:mod:`phpgw.time_slices`). So large compressed messages are cached
beyond the next message.
"""

import zlib
from struct import pack

from phpgw.hub.commands import Target

_TEXT, _BINARY = 0x81, 0x82
_COMPRESSED = 0x40
# Lengths below this one take no further bytes.
_SHORT = 126
# The end of each deflated message, which is not sent: RFC 7692, section 7.2.1.
_DEFLATE_TAIL = b"\x00\x00\xff\xff"
# zlib's smallest window, the bytes of a window that it does not use, its highest memory level.
_MIN_WINDOW_BITS = 9
_UNUSED_WINDOW = 262
_MAX_MEM_LEVEL = 8
# Messages of this size and larger take more than 100 us to compress.
_MIN_CACHED_SIZE = 4096
# Bytes in the cache, plain and deflated. One message can be larger if it is the only one.
_MAX_CACHE_SIZE = 16_000_000


class FrameEncoder:
    """Encodes messages as frames, and caches the frames of the last message.

    There is no context takeover: a compressed message does not refer to earlier ones. RFC 7692
    (section 7.1.1.1) allows this to the sender. So a frame is the same for all clients, and no
    connection needs its own compressor.
    """

    def __init__(self) -> None:
        self._payload: bytes | None = None
        self._is_binary = False
        # The last message's frames by window bits.
        self._frames_by_window: dict[int | None, bytes] = {}
        # Large messages by id and window bits, plain and deflated; the most recent is last. The
        # reference to the message keeps its id from being used again.
        self._cache: dict[tuple[int, int], tuple[bytes, bytes]] = {}
        self._cache_size = 0

    def encode(
        self,
        payload: bytes,
        is_binary: bool,
        window_bits: int | None = None,
        target: Target | None = None,
    ) -> bytes:
        """Return a message as a single frame.

        :param window_bits: the size of the peer's window, from 9 to 15; ``None`` if the message
            must not be compressed. It is compressed only if that makes it smaller.
        :param target: the target of the command. Not used here; the encoder of a
            subprotocol can name it in the frame.
        """
        if window_bits is None and len(payload) < _SHORT:
            # To cache it would take longer than to encode it.
            return _SHORT_HEADS[_BINARY if is_binary else _TEXT][len(payload)] + payload
        if payload is not self._payload or is_binary is not self._is_binary:
            self._payload, self._is_binary = payload, is_binary
            self._frames_by_window = {}
        elif (frame := self._frames_by_window.get(window_bits)) is not None:
            return frame
        frame = self._encode(payload, is_binary, window_bits)
        self._frames_by_window[window_bits] = frame
        return frame

    def _encode(self, payload: bytes, is_binary: bool, window_bits: int | None) -> bytes:
        first = _BINARY if is_binary else _TEXT
        if window_bits is None:
            return _head(first, len(payload)) + payload
        deflated = self._cached_deflate(payload, window_bits)
        if len(deflated) < len(payload):
            return _head(first | _COMPRESSED, len(deflated)) + deflated
        return self.encode(payload, is_binary)

    def _cached_deflate(self, payload: bytes, window_bits: int) -> bytes:
        if len(payload) < _MIN_CACHED_SIZE:
            return _deflate(payload, window_bits)
        key = id(payload), window_bits
        cached = self._cache.pop(key, None)
        if cached is None:
            cached = payload, _deflate(payload, window_bits)
            self._cache_size += sum(map(len, cached))
        self._cache[key] = cached
        while self._cache_size > _MAX_CACHE_SIZE and len(self._cache) > 1:
            oldest = self._cache.pop(next(iter(self._cache)))
            self._cache_size -= sum(map(len, oldest))
        return cached[1]


_SHORT_HEADS = {
    first: [bytes((first, length)) for length in range(_SHORT)]
    for first in (_TEXT, _BINARY, _TEXT | _COMPRESSED, _BINARY | _COMPRESSED)
}


def _head(first: int, length: int) -> bytes:
    if length < _SHORT:
        return _SHORT_HEADS[first][length]
    if length < 0x10000:
        return pack(">BBH", first, 126, length)
    return pack(">BBQ", first, 127, length)


def _deflate(payload: bytes, window_bits: int) -> bytes:
    # A window larger than the message has no use. The largest takes 256 KB and up to 90 us to
    # allocate, the smallest 6 KB and 2 us.
    bits = min(window_bits, max(_MIN_WINDOW_BITS, (len(payload) + _UNUSED_WINDOW).bit_length()))
    compressor = zlib.compressobj(wbits=-bits, memLevel=min(_MAX_MEM_LEVEL, bits - 6))
    deflated = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return deflated.removesuffix(_DEFLATE_TAIL)
