"""The answer to a query, of one row or none."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.mysql.packets import MalformedPacket, MySqlPacket
from phpgw.pools.mysql.responses import ErrAnswer
from phpgw.pools.mysql.short_result import QueryFailed, ShortResult

EOF_2 = b"\xfe\0\0\2\0"


def answer(*values: bytes | None, status: int = 2) -> list[MySqlPacket]:
    """Return the packets of an answer with these values."""
    eof = b"\xfe\0\0" + status.to_bytes(2, "little")
    row = b"".join(b"\xfb" if each is None else bytes((len(each),)) + each for each in values)
    payloads = [bytes((len(values),)), *(b"a column" for _ in values), eof, row, eof]
    return [MySqlPacket(number, payload) for number, payload in enumerate(payloads, 1)]


class ShortResultTests(SynchronousTestCase):
    def test_row(self) -> None:
        one = ShortResult(3)
        packets = answer(b"a", None, b"")
        for packet in packets[:-1]:
            one.receive(packet)
            self.assertIsNone(one.status)
        one.receive(packets[-1])
        self.assertEqual([(b"a", None, b"")], one.rows)
        self.assertEqual(2, one.status)

    def test_no_row(self) -> None:
        """Where none may come, one that comes is refused."""
        packets = answer(b"a", b"b")
        none = ShortResult(2, rows=0)
        for packet in packets[:4]:
            none.receive(packet)
        with self.assertRaises(MalformedPacket):
            none.receive(packets[4])
        none = ShortResult(2, rows=0)
        for packet in (*packets[:4], MySqlPacket(5, EOF_2)):
            none.receive(packet)
        self.assertEqual([], none.rows)
        self.assertEqual(2, none.status)

    def test_error(self) -> None:
        for count in range(4):
            one = ShortResult(1)
            for packet in answer(b"a")[:count]:
                one.receive(packet)
            error = ErrAnswer(1064, "42000", "You have an error in your SQL syntax")
            with self.assertRaises(QueryFailed) as caught:
                one.receive(MySqlPacket(count + 1, error.encode()))
            self.assertEqual(error, caught.exception.error)

    def test_anything_else(self) -> None:
        good = answer(b"a", b"b")
        for number, payload in (
            (0, b"\3"),
            (0, b"\0\0\0\2\0\0\0"),
            (3, b"no EOF"),
            (4, b"\1a"),
            (4, b"\1a\1b\1c"),
            (4, EOF_2),
            (5, b"\1a\1b"),
        ):
            one = ShortResult(2)
            packets = [*good]
            packets[number] = MySqlPacket(number + 1, payload)
            with self.assertRaises(MalformedPacket, msg=repr(payload)):
                for packet in packets:
                    one.receive(packet)

    def test_numbers(self) -> None:
        one = ShortResult(1)
        with self.assertRaises(MalformedPacket):
            one.receive(MySqlPacket(2, b"\1"))
