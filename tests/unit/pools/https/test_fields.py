"""Tests for :mod:`phpgw.pools.https.fields`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.https.fields import Fields


def fields(*pairs: tuple[bytes, bytes]) -> Fields:
    made = Fields()
    for name, value in pairs:
        made.add(name, value)
    return made


class FieldsTests(SynchronousTestCase):
    def test_pass(self) -> None:
        """Fields keep order, case and each of their lines; only spaces at the end go."""
        made = fields((b"X-One", b"1"), (b"set-cookie", b"a"), (b"Set-Cookie", b"b  \t"))
        self.assertEqual(b"X-One: 1\r\nset-cookie: a\r\nSet-Cookie: b\r\n", made.lines())
        self.assertEqual([b"x-one", b"set-cookie", b"set-cookie"], [*made.names])

    def test_of_connection(self) -> None:
        """What is about one connection does not pass: neither known fields, nor those it names."""
        for name in (
            *(b"Keep-Alive", b"Proxy-Connection", b"Proxy-Authenticate", b"Proxy-Authorization"),
            *(b"TE", b"Transfer-Encoding", b"UPGRADE", b"Content-Length", b"Host"),
        ):
            self.assertEqual(b"", fields((name, b"1")).lines())
        named = fields((b"X-Two", b"2"), (b"Connection", b"close, x-two"), (b"X-Three", b"3"))
        self.assertEqual(b"X-Three: 3\r\n", named.lines())

    def test_replaced(self) -> None:
        made = fields((b"Authorization", b"mine"), (b"Accept", b"*/*"))
        self.assertEqual(b"Accept: */*\r\n", made.lines(frozenset((b"authorization",))))

    def test_framing(self) -> None:
        made = fields(
            *((b"Content-Length", b"12"), (b"Transfer-Encoding", b"CHUNKED"), (b"Host", b"a")),
            *((b"TE", b"trailers, deflate"), (b"Keep-Alive", b"Timeout=5")),
        )
        self.assertEqual(
            (b"12", b"chunked", [b"a"], True, b"timeout=5"),
            (made.length, made.coding, made.hosts, made.takes_trailers, made.keep_alive),
        )
