"""Tests for :mod:`phpgw.web.origin`."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from phpgw.web.origin import parse_origin, parse_origin_pattern

# What no browser writes, however much it looks like a page's of example.com.
ODD = (
    *("", " ", "null", "example.com", "//example.com", "http:example.com", "http:/example.com"),
    *("http://", "http://:80", "http://example.com/", "http://example.com/page", "http://a b"),
    *("http://evil\\@example.com", "http://evil@example.com", "http://@example.com"),
    *("http://example.com:", "http://example.com:0", "http://example.com:65536"),
    *("http://example.com:80:80", "http://example.com:-1", "http://example.com:1e3", "://a"),
    *("http://example.com#", "http://example.com?", "http://example.com%00", "http://ex\xe4mple"),
    *("http://[::1", "http://::1", "http://example.com, http://a", "http://example.com\t"),
    *("javascript://example.com", "data://example.com", "blob://a", "about://blank"),
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
        }.items():
            origin = parse_origin(header.encode())
            assert origin is not None, header
            seen = (origin.scheme, origin.host, origin.port, origin.is_web)
            self.assertEqual(expected, seen, header)
            self.assertEqual(origin, parse_origin(str(origin).encode()))

    def test_odd(self) -> None:
        for header in ODD:
            self.assertIsNone(parse_origin(header.encode("latin-1")), header)

    @given(st.binary(max_size=30) | st.binary(max_size=20).map(b"http://".__add__))
    def test_whatever_comes(self, header: bytes) -> None:
        """A parsed origin has only safe characters, and can be parsed again."""
        origin = parse_origin(header)
        if origin is not None:
            self.assertEqual(origin, parse_origin(str(origin).encode("ascii")))
            self.assertTrue(str(origin).isprintable())


class PatternTests(SynchronousTestCase):
    def assert_matches(self, text: str, matching: Iterable[str], others: Iterable[str]) -> None:
        pattern = parse_origin_pattern(text)
        for origin in matching:
            self.assertTrue(pattern.matches(origin.encode()), f"{origin} by {text}")
        for origin in (*others, *ODD):
            if origin != text:
                matches = pattern.matches(origin.encode("latin-1"))
                self.assertFalse(matches, f"{origin} by {text}")

    def test_one_site(self) -> None:
        self.assert_matches(
            "https://app.example.com",
            ["https://app.example.com", "HTTPS://App.Example.com:443"],
            [
                *("http://app.example.com", "https://app.example.com:8443", "https://example.com"),
                *("https://a.app.example.com", "https://app.example.com.evil", "https://app"),
                *("app://app.example.com", "https://app.example.com."),
            ],
        )

    def test_names_below(self) -> None:
        """All subdomains match, and nothing else."""
        self.assert_matches(
            "https://*.example.com",
            ["https://a.example.com", "https://a.b.example.com:443", "https://A.EXAMPLE.com"],
            [
                *("https://example.com", "https://evilexample.com", "https://.example.com"),
                *(
                    "https://a..example.com",
                    "https://a.example.com.evil.com",
                    "https://a.example.co",
                ),
                *("https://a.example.com:8443", "http://a.example.com", "https://*.example.com"),
                *("https://a.example.com.", "https://a-example.com", "https://example.com.a"),
            ],
        )
        self.assert_matches(
            "http://*.example.com:8080",
            ["http://a.example.com:8080"],
            ["http://a.example.com", "http://a.example.com:80"],
        )

    def test_apps(self) -> None:
        self.assert_matches(
            "capacitor://localhost",
            ["capacitor://localhost"],
            ["capacitor://example.com", "http://localhost", "ionic://localhost", "capacitor://"],
        )
        self.assert_matches(
            "chrome-extension://abc",
            ["chrome-extension://abc", "chrome-extension://ABC"],
            ["chrome-extension://abcd", "chrome-extension://", "moz-extension://abc"],
        )
        self.assert_matches(
            "app://", ["app://", "app://-", "app://obsidian.md"], ["apps://-", "http://-"]
        )
        self.assert_matches("file://", ["file://", "file://host"], ["http://file", "null"])

    def test_null(self) -> None:
        self.assert_matches("null", ["null"], ["http://null", "null://", "null, null", "file://"])
