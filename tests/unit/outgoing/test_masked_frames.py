"""Tests for :mod:`phpgw.outgoing.masked_frames`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.outgoing.masked_frames import MaskedFrameEncoder, apply_mask, masked_frame


class MaskTests(SynchronousTestCase):
    def test_mask(self) -> None:
        """RFC 6455, section 5.7."""
        mask, masked = bytes.fromhex("37fa213d"), bytes.fromhex("7f9f4d5158")
        self.assertEqual(b"Hello", apply_mask(masked, mask))
        for size in range(10):
            payload = bytes(range(size))
            self.assertEqual(payload, apply_mask(apply_mask(payload, mask), mask))

    def test_heads(self) -> None:
        encoder = MaskedFrameEncoder()
        for size, head in (
            (0, b"\x81\x80"),
            (125, b"\x81\xfd"),
            (126, b"\x81\xfe\0\x7e"),
            (65535, b"\x81\xfe\xff\xff"),
            (65536, b"\x81\xff\0\0\0\0\0\1\0\0"),
        ):
            frame = encoder.encode(b"x" * size, False)
            self.assertEqual(head, frame[: len(head)])
            mask, masked = frame[len(head) : len(head) + 4], frame[len(head) + 4 :]
            self.assertEqual(b"x" * size, apply_mask(masked, mask))
        self.assertEqual(b"\x82\x80", encoder.encode(b"", True)[:2])

    def test_each_has_its_own(self) -> None:
        self.assertEqual(20, len({masked_frame(0x81, b"")[2:] for _ in range(20)}))
