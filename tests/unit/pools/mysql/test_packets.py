"""Packets of MySQL's protocol, whole and in pieces."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.mysql.packets import (
    MAX_SHORT_PACKET,
    MalformedPacket,
    MySqlPacket,
    PacketDecoder,
    PayloadReader,
    encode_packet,
)


class PacketDecoderTests(SynchronousTestCase):
    def test_pieces(self) -> None:
        """Packets are found however the bytes arrive."""
        packets = [MySqlPacket(0, b"one"), MySqlPacket(255, b""), MySqlPacket(7, bytes(300))]
        data = b"".join(encode_packet(each.payload, each.sequence) for each in packets)
        for size in (1, 2, 3, 5, len(data)):
            decoder = PacketDecoder()
            found = [
                packet
                for start in range(0, len(data), size)
                for packet in decoder.feed(data[start : start + size])
            ]
            self.assertEqual(packets, found)
            self.assertEqual(0, len(decoder))

    def test_incomplete(self) -> None:
        """Bytes of a packet that is not complete are counted."""
        decoder = PacketDecoder()
        self.assertEqual([], [*decoder.feed(encode_packet(b"abc")[:-1])])
        self.assertEqual(6, len(decoder))

    def test_too_long(self) -> None:
        """A packet is refused by its head, before its body is there."""
        decoder = PacketDecoder()
        with self.assertRaises(MalformedPacket):
            [*decoder.feed((MAX_SHORT_PACKET + 1).to_bytes(4, "little"))]

    def test_reply(self) -> None:
        """The number of a reply follows, and begins anew after 255."""
        self.assertEqual(b"\1\0\0\3x", MySqlPacket(2, b"").reply(b"x"))
        self.assertEqual(b"\1\0\0\0x", MySqlPacket(255, b"").reply(b"x"))


class PayloadReaderTests(SynchronousTestCase):
    def test_fields(self) -> None:
        reader = PayloadReader(b"\x01\x02abc\0\x05hello\xfb\xfc\x02\x01rest")
        self.assertEqual(0x0201, reader.integer(2))
        self.assertEqual(b"abc", reader.terminated())
        self.assertEqual(b"hello", reader.encoded_text())
        self.assertIsNone(reader.encoded_text())
        self.assertEqual(0x0102, reader.encoded_integer())
        self.assertEqual(b"rest", reader.rest())
        self.assertEqual(0, reader.left)

    def test_long_integers(self) -> None:
        for data, number in (
            (b"\xfa", 0xFA),
            (b"\xfd\1\2\3", 0x030201),
            (b"\xfe\1\2\3\4\5\6\7\0", 0x07060504030201),
        ):
            self.assertEqual(number, PayloadReader(data).encoded_integer())

    def test_too_short(self) -> None:
        """A payload that ends within a field is malformed, and so is a field of no known type."""
        for data in (b"", b"\xfc\1", b"\x05abc", b"\xff", b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff"):
            with self.assertRaises(MalformedPacket, msg=repr(data)):
                PayloadReader(data).encoded_text()
        with self.assertRaises(MalformedPacket):
            PayloadReader(b"no end").terminated()
        with self.assertRaises(MalformedPacket):
            PayloadReader(b"1").integer(2)
