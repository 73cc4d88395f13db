"""Tests for :mod:`phpgw.origins`."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from phpgw.origins import read_origin

# What no browser writes, however much it looks like a page's of example.com.
ODD = (
    *("", " ", "null", "example.com", "//example.com", "http:example.com", "http:/example.com"),
    *("http://", "http://:80", "http://example.com/", "http://example.com/page", "http://a b"),
    *("http://evil\\@example.com", "http://evil@example.com", "http://@example.com"),
    *("http://example.com:", "http://example.com:0", "http://example.com:65536"),
    *("http://example.com:80:80", "http://example.com:-1", "http://example.com:1e3", "://a"),
    *("http://example.com#", "http://example.com?", "http://example.com%00", "http://ex\xe4mple"),
    *("http://[::1", "http://::1", "http://example.com, http://a", "http://example.com\t"),
    *(" http://example.com", "1http://example.com", "http://example.com\\", "http://%65xample.com"),
)


class OriginTests(SynchronousTestCase):
    def test_read(self) -> None:
        for header, expected in {
            "http://example.com": ("http", "example.com", None, True),
            "HTTPS://Example.COM": ("https", "example.com", None, True),
            "http://example.com:80": ("http", "example.com", None, True),
            "https://example.com:80": ("https", "example.com", 80, True),
            "https://[2001:DB8::1]:8443": ("https", "2001:db8::1", 8443, True),
            "capacitor://localhost": ("capacitor", "localhost", None, False),
            "app://-": ("app", "-", None, False),
            "app://": ("app", "", None, False),
            "file://": ("file", "", None, False),
            "chrome-extension://abc": ("chrome-extension", "abc", None, False),
            "javascript://example.com": ("javascript", "example.com", None, False),
        }.items():
            origin = read_origin(header.encode())
            assert origin is not None, header
            seen = (origin.scheme, origin.host, origin.port, origin.is_web)
            self.assertEqual(expected, seen, header)
            self.assertEqual(origin, read_origin(str(origin).encode()))

    def test_odd(self) -> None:
        for header in ODD:
            self.assertIsNone(read_origin(header.encode("latin-1")), header)

    @given(st.binary(max_size=30) | st.binary(max_size=20).map(b"http://".__add__))
    def test_whatever_comes(self, header: bytes) -> None:
        """What is read is harmless wherever it is written, and reads the same again."""
        origin = read_origin(header)
        if origin is not None:
            self.assertEqual(origin, read_origin(str(origin).encode("ascii")))
            self.assertTrue(str(origin).isprintable())
