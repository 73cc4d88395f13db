"""Tests for :mod:`phpgw.process.proxy_header`: valid, invalid and incomplete headers."""

import struct

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from phpgw.process.proxy_header import InvalidProxyHeader, parse_header

_V2 = b"\r\n\r\n\0\r\nQUIT\n"


def version_2(command: int, family: int, rest: bytes) -> bytes:
    return _V2 + struct.pack("!BBH", 0x20 | command, family, len(rest)) + rest


_IPV4 = bytes((203, 0, 113, 7, 192, 0, 2, 1)) + struct.pack("!HH", 5123, 8080)
_IPV6 = bytes(15) + b"\1" + bytes(15) + b"\2" + struct.pack("!HH", 5123, 8080)
_FROM_IPV4 = IPv4Address("TCP", "203.0.113.7", 5123)
# Headers, and where the connection is from; nothing for where it really is.
HEADERS = (
    (b"PROXY TCP4 203.0.113.7 192.0.2.1 5123 8080\r\n", _FROM_IPV4),
    (b"PROXY TCP6 2001:db8::7 ::1 5123 8080\r\n", IPv6Address("TCP", "2001:db8::7", 5123)),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN \r\n", None),
    (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", None),
    (version_2(1, 0x11, _IPV4), _FROM_IPV4),
    (version_2(1, 0x11, _IPV4 + b"\x04\0\x01x"), _FROM_IPV4),
    (version_2(1, 0x21, _IPV6), IPv6Address("TCP", "::1", 5123)),
    (version_2(1, 0x31, b"/a".ljust(108, b"\0") * 2), UNIXAddress(b"/a")),
    (version_2(1, 0, b""), None),
    (version_2(0, 0, b""), None),
    (version_2(0, 0x11, _IPV4), None),
)
INVALID = (
    *(
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01",
        b"proxy TCP4 1.1.1.1 1.1.1.1 1 1\r\n",
        b"\r\n\r\nGET",
    ),
    *(b"PROXY\r\n", b"PROXY \r\n", b"PROXY TCP4\r\n", b"PROXY UNKNOWNS\r\n"),
    *(b"PROXY TCP5 1.1.1.1 1.1.1.1 1 1\r\n", b"PROXY TCP4 a b c d\r\n"),
    *(b"PROXY TCP4 ::1 ::1 1 1\r\n", b"PROXY TCP6 1.1.1.1 1.1.1.1 1 1\r\n"),
    *(b"PROXY TCP4 1.1.1.1 1.1.1.1 1 65536\r\n", b"PROXY TCP4 1.1.1.1 1.1.1.1 -1 1\r\n"),
    *(b"PROXY TCP4 1.1.1 1.1.1.1 1 1\r\n", b"PROXY TCP4  1.1.1.1 1.1.1.1 1 1\r\n"),
    *(b"PROXY TCP4 " + b"1" * 97, b"PROXY UNKNOWN " + b"x" * 200 + b"\r\n"),
    *(version_2(2, 0x11, _IPV4), version_2(1, 0x11, _IPV4[:-1]), version_2(1, 0x31, bytes(215))),
    _V2 + b"\x11\x11\0\0",
)


class ReadTests(SynchronousTestCase):
    def test_headers(self) -> None:
        for data, source in HEADERS:
            for rest in (b"", b"GET / HTTP/1.1\r\n", data):
                header = parse_header(data + rest)
                assert header is not None, data
                self.assertEqual((len(data), source), (header.size, header.source), data)

    def test_cut_anywhere(self) -> None:
        """An incomplete header is not an error, however short it is."""
        for data, _ in HEADERS:
            for length in range(len(data)):
                self.assertIsNone(parse_header(data[:length]), data[:length])

    def test_invalid(self) -> None:
        for data in INVALID:
            self.assertRaises(InvalidProxyHeader, parse_header, data)

    @given(st.binary(max_size=300), st.sampled_from((b"", b"PROXY TCP4 ", _V2, _V2 + b"!")))
    def test_whatever_comes(self, data: bytes, start: bytes) -> None:
        """Any bytes are a header, the beginning of one, or invalid."""
        try:
            header = parse_header(start + data)
        except InvalidProxyHeader:
            return
        if header is not None:
            self.assertLessEqual(header.size, len(start + data))
