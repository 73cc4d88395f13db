"""What of PHP's bytes goes to the server, and what the pool learns from them."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.mysql.commands import CommandReader, encode_command
from phpgw.pools.mysql.packets import CONTINUED, MalformedPacket, encode_packet

_QUIT = encode_command(0x01)
_QUERY = encode_command(0x03, b"SELECT 1")
_CHANGE_USER = encode_command(0x11, b"root\0")
_STMT_CLOSE = encode_command(0x19, bytes(4))


class CommandReaderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reader = CommandReader()

    def receive(self, data: bytes, size: int = 0) -> bytes:
        """Have it read the data in pieces of this size, and return what is for the server."""
        size = size or len(data)
        return b"".join(
            self.reader.receive(data[start : start + size]) for start in range(0, len(data), size)
        )

    def test_common(self) -> None:
        """One command in one piece is passed on as it is."""
        self.assertIs(_QUERY, self.reader.receive(_QUERY))
        self.assertTrue(self.reader.awaits_answer)
        self.assertTrue(self.reader.is_between_commands)

    def test_pieces(self) -> None:
        """However the bytes arrive, the same goes on, and the same is known."""
        data = _QUERY + _CHANGE_USER + _STMT_CLOSE + _QUERY + _QUIT
        for size in (1, 2, 3, 4, 5, 6, 7, 11, 100):
            self.reader = CommandReader()
            self.assertEqual(_QUERY + _STMT_CLOSE + _QUERY, self.receive(data, size))
            self.assertTrue(self.reader.has_quit)
            self.assertTrue(self.reader.is_between_commands)
            self.assertEqual(1, self.reader.refused)
            self.assertTrue(self.reader.is_cleanable)

    def test_incomplete(self) -> None:
        """Within a command, no session has ended."""
        for end in range(1, len(_QUERY)):
            self.reader = CommandReader()
            self.receive(_QUERY[:end])
            self.assertFalse(self.reader.is_between_commands, end)

    def test_answers(self) -> None:
        """Something must have come since the last command that has an answer."""
        self.assertFalse(self.reader.awaits_answer)
        self.receive(_QUERY)
        self.reader.answered()
        self.receive(_STMT_CLOSE)
        self.receive(encode_command(0x18, b"long data"))
        self.assertFalse(self.reader.awaits_answer)
        self.receive(_QUERY + _STMT_CLOSE + _QUIT)
        self.assertTrue(self.reader.awaits_answer)

    def test_not_cleanable(self) -> None:
        """After these commands, and any that is not known, a session is used by nobody else."""
        for command in (0x00, 0x05, 0x06, 0x08, 0x12, 0x15, 0x1B, 0x1D, 0x1E, 0x20, 0xFA, 0xFE):
            self.reader = CommandReader()
            self.assertEqual(
                encode_command(command, b"\0\0"), self.receive(encode_command(command, b"\0\0"))
            )
            self.receive(_QUERY)
            self.assertFalse(self.reader.is_cleanable, hex(command))

    def test_continuation(self) -> None:
        """What follows a packet of the largest length is no command, whatever it begins with."""
        large = b"\x03" + bytes(CONTINUED - 1)
        for rest in (b"", b"\x01", b"\x1b\0", b"\x11abc"):
            self.reader = CommandReader()
            data = encode_packet(large) + encode_packet(rest, 1) + _QUIT
            for size in (65536, len(data)):
                self.reader = CommandReader()
                self.assertEqual(data[: -len(_QUIT)], self.receive(data, size))
                self.assertTrue(self.reader.is_cleanable)
                self.assertTrue(self.reader.has_quit)
                self.assertEqual(0, self.reader.refused)

    def test_several_continuations(self) -> None:
        large = bytes(CONTINUED)
        data = (
            encode_packet(b"\x03" + large[1:]) + encode_packet(large, 1) + encode_packet(b"\1", 2)
        )
        self.assertEqual(data, self.receive(data, 1 << 20))
        self.assertFalse(self.reader.has_quit)
        self.assertTrue(self.reader.is_between_commands)

    def test_large_refused(self) -> None:
        """No part of a refused command reaches the server."""
        data = encode_packet(b"\x11" + bytes(CONTINUED - 1)) + encode_packet(b"\x03x", 1)
        self.assertEqual(_QUERY, self.receive(data + _QUERY, 1 << 20))

    def test_no_file(self) -> None:
        """A file that a server has asked PHP for does not reach it."""
        self.receive(_QUERY)
        self.reader.answered()
        with self.assertRaises(MalformedPacket):
            self.receive(encode_packet(b"root:x:0:0:", 2) + encode_packet(b"", 3))

    def test_malformed(self) -> None:
        """Empty commands, numbers out of order, and commands after the end."""
        for data in (
            encode_packet(b""),
            encode_packet(b"\x03", 1),
            encode_packet(b"\x03" + bytes(CONTINUED - 1)) + encode_packet(b"a", 0),
            _QUIT + _QUERY,
            _QUIT + _QUIT,
        ):
            for size in (5, len(data)):
                self.reader = CommandReader()
                with self.assertRaises(MalformedPacket, msg=repr(data[:20])):
                    self.receive(data, size if len(data) < 100 else len(data))
