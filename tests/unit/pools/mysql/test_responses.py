"""OK, ERR and EOF."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.mysql.packets import MalformedPacket
from phpgw.pools.mysql.responses import ErrAnswer, OkAnswer, parse_eof


class ResponseTests(SynchronousTestCase):
    def test_ok(self) -> None:
        answer = OkAnswer(0, 0, 0x4002, 3)
        self.assertEqual(answer, OkAnswer.parse(answer.encode()))
        self.assertEqual(
            OkAnswer(1, 300, 2, 0), OkAnswer.parse(b"\0\1\xfc\x2c\1\2\0\0\0" + b"some text")
        )

    def test_error(self) -> None:
        error = ErrAnswer(1040, "08004", "Too many connections")
        self.assertEqual(error, ErrAnswer.parse(error.encode()))
        self.assertEqual(b"\xff\x10\x04#08004Too many connections", error.encode())

    def test_error_before_the_login(self) -> None:
        """It has no state yet."""
        error = ErrAnswer(1040, "08004", "Too many connections")
        self.assertEqual(b"\xff\x10\x04Too many connections", error.encode_for_greeting())
        self.assertEqual(
            ErrAnswer(1040, "HY000", "Too many connections"),
            ErrAnswer.parse(error.encode_for_greeting()),
        )

    def test_eof(self) -> None:
        self.assertEqual(0x0102, parse_eof(b"\xfe\0\0\2\1"))
        for payload in (b"\xfe", b"\xfe\0\0\2\1\0", b"\0\0\0\2\1"):
            with self.assertRaises(MalformedPacket):
                parse_eof(payload)

    def test_malformed(self) -> None:
        for payload in (b"", b"\xff\1\0", b"\0", b"\0\0\0\2"):
            with self.assertRaises(MalformedPacket):
                OkAnswer.parse(payload)
        for payload in (b"", b"\0", b"\xff", b"\xff\1"):
            with self.assertRaises(MalformedPacket):
                ErrAnswer.parse(payload)
