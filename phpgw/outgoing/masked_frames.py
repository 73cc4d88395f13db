"""Frames of a client, which are masked: RFC 6455, section 5.3."""

from os import urandom
from struct import pack

from phpgw.hub.commands import Target

_TEXT, _BINARY = 0x81, 0x82
_MASKED = 0x80
# Lengths below this one take no further bytes.
_SHORT = 126
_MASK_SIZE = 4


def masked_frame(first: int, payload: bytes) -> bytes:
    """Return a frame.

    :param first: the first byte: FIN, RSV and the opcode.
    """
    mask = urandom(_MASK_SIZE)
    return _head(first, len(payload)) + mask + apply_mask(payload, mask)


def apply_mask(payload: bytes, mask: bytes) -> bytes:
    """Mask a payload, or unmask it."""
    size = len(payload)
    # All bytes at once.
    repeated = (mask * (size // _MASK_SIZE + 1))[:size]
    whole = int.from_bytes(payload, "little") ^ int.from_bytes(repeated, "little")
    return whole.to_bytes(size, "little")


class MaskedFrameEncoder:
    """Encodes messages as frames, each with a mask of its own."""

    def encode(
        self,
        payload: bytes,
        is_binary: bool,
        window_bits: int | None = None,
        target: Target | None = None,
    ) -> bytes:
        """Return a message as a single frame; see :class:`phpgw.websocket.frames.FrameEncoder`."""
        return masked_frame(_BINARY if is_binary else _TEXT, payload)


def _head(first: int, length: int) -> bytes:
    if length < _SHORT:
        return bytes((first, _MASKED | length))
    if length < 0x10000:
        return pack(">BBH", first, _MASKED | 126, length)
    return pack(">BBQ", first, _MASKED | 127, length)
