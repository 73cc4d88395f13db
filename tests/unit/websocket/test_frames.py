"""Tests for :mod:`phpgw.websocket.frames`."""

import random
import zlib

from twisted.trial.unittest import SynchronousTestCase

from phpgw.websocket import frames as frames_module
from phpgw.websocket.frames import FrameEncoder

_WINDOWS = range(9, 16)
_TEXT, _BINARY, _DEFLATED = 1, 2, 0x40


def read(frame: bytes) -> tuple[int, bytes]:
    """First byte, without FIN, and payload of a frame that is complete and not masked."""
    first, length = frame[0], frame[1]
    assert first & 0x80
    start = {126: 4, 127: 10}.get(length, 2)
    if start > 2:
        length = int.from_bytes(frame[2:start], "big")
    assert len(frame) == start + length
    return first & 0x7F, frame[start:]


class PlainTests(SynchronousTestCase):
    def test_lengths(self) -> None:
        """Each in its shortest form: RFC 6455, section 5.2."""
        for length, head in [
            (0, b"\x82\x00"),
            (125, b"\x82\x7d"),
            (126, b"\x82\x7e\x00\x7e"),
            (65535, b"\x82\x7e\xff\xff"),
            (65536, b"\x82\x7f" + b"\x00\x00\x00\x00\x00\x01\x00\x00"),
        ]:
            payload = bytes(length)
            self.assertEqual(FrameEncoder().encode(payload, True), head + payload)

    def test_text(self) -> None:
        self.assertEqual(FrameEncoder().encode("ü".encode(), False), b"\x81\x02" + "ü".encode())

    def test_made_once(self) -> None:
        frames, payload = FrameEncoder(), b"for many" * 20
        self.assertIs(frames.encode(payload, False), frames.encode(payload, False))

    def test_one_after_another(self) -> None:
        """The cache never returns a frame of another message."""
        frames = FrameEncoder()
        messages = [b"a", b"b", b"a", b"", b"a" * 1, b"ab"]
        for payload in messages:
            for is_binary in (False, True, False):
                opcode = _BINARY if is_binary else _TEXT
                self.assertEqual(read(frames.encode(payload, is_binary)), (opcode, payload))


class DeflatedTests(SynchronousTestCase):
    def count_work(self) -> list[int]:
        """Note the length of each message that is compressed from now on."""
        lengths: list[int] = []
        deflate = frames_module._deflate

        def counted(payload: bytes, window_bits: int) -> bytes:
            lengths.append(len(payload))
            return deflate(payload, window_bits)

        self.patch(frames_module, "_deflate", counted)
        return lengths

    def test_by_turns(self) -> None:
        """Large messages are compressed once, also with other messages in between."""
        lengths = self.count_work()
        frames = FrameEncoder()
        payloads = [bytes((n,)) * 50_000 for n in range(20)]
        for _ in range(5):
            for payload in payloads:
                for bits in (15, 10):
                    opcode, deflated = read(frames.encode(payload, False, bits))
                    self.assertEqual(opcode, _TEXT | _DEFLATED)
                    inflate = zlib.decompressobj(-15).decompress
                    self.assertEqual(inflate(deflated + b"\x00\x00\xff\xff"), payload)
                frames.encode(b"small", True, 15)
        self.assertEqual(lengths.count(50_000), 40)

    def test_what_is_kept(self) -> None:
        """The cache is limited and drops the least recent messages."""
        lengths = self.count_work()
        frames = FrameEncoder()
        often = b"x" * 3_000_000
        for n in range(20):
            frames.encode(bytes((n,)) * 3_000_000, True, 15)
            frames.encode(often, True, 15)
        self.assertEqual(len(lengths), 21)
        self.assertLess(frames._cache_size, 16_000_001)
        self.assertEqual(len(frames._cache), 5)
        frames.encode(b"y" * 20_000_000, True, 15)
        self.assertEqual(len(frames._cache), 1)

    def test_smaller(self) -> None:
        payload = b"the same again and again, " * 40
        first, deflated = read(FrameEncoder().encode(payload, False, 15))
        self.assertEqual(first, _DEFLATED | _TEXT)
        self.assertLess(len(deflated), len(payload) / 10)

    def test_not_smaller(self) -> None:
        """A message that does not get smaller is sent uncompressed: RFC 7692, section 6."""
        frames = FrameEncoder()
        for payload in (b"", b"x", b"hello", random.Random(1).randbytes(5000)):
            for bits in (9, 15):
                self.assertEqual(read(frames.encode(payload, True, bits)), (_BINARY, payload))

    def test_every_window(self) -> None:
        """A browser with this window, or a larger one, reads them all, one after the other.

        It keeps what it has read before, as it has to unless it was told not to.
        """
        randomness = random.Random(2)
        words = [bytes(randomness.choices(b"aeiourst", k=5)) for _ in range(500)]
        messages = [
            b"".join(randomness.choices(words, k=count)) for count in (20, 60, 200, 3000, 20, 9000)
        ]
        messages += [bytes(100_000), b"a" * 120, bytes(range(200)) * 200, b"a" * 120]
        frames = FrameEncoder()
        inflators = {bits: zlib.decompressobj(wbits=-bits) for bits in _WINDOWS}
        inflators[0] = zlib.decompressobj(wbits=-15)
        for payload in messages:
            for bits, inflator in inflators.items():
                first, deflated = read(frames.encode(payload, True, bits or 9))
                self.assertEqual(first, _DEFLATED | _BINARY)
                inflated = inflator.decompress(deflated + b"\x00\x00\xff\xff")
                self.assertEqual(inflated, payload, bits)

    def test_made_once(self) -> None:
        """There is one frame per window size."""
        frames, payload = FrameEncoder(), b"for many, " * 1000
        windows: list[int | None] = [None, *_WINDOWS]
        made = [frames.encode(payload, False, bits) for bits in windows]
        again = [frames.encode(payload, False, bits) for bits in reversed(windows)]
        for first, second in zip(made, reversed(again), strict=True):
            self.assertIs(first, second)
        self.assertEqual(read(made[0]), (_TEXT, payload))

    def test_plain_one_made_once(self) -> None:
        """Also where it does not shrink, for those with and without compression."""
        frames, payload = FrameEncoder(), random.Random(3).randbytes(1000)
        made = {id(frames.encode(payload, True, bits)) for bits in (15, None, 9, 15, None)}
        self.assertEqual(len(made), 1)
