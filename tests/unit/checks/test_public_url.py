"""Tests for :mod:`phpgw.checks.public_url`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.checks.public_url import parse_idle, parse_page_origin, parse_public_url


class PublicUrlTests(SynchronousTestCase):
    def test_parts(self) -> None:
        for text, netloc, origin, path in (
            ("wss://example.com/ws", "example.com", "https://example.com", "/ws"),
            ("wss://example.com", "example.com", "https://example.com", "/"),
            ("ws://example.com:8080/a?b=c", "example.com:8080", "http://example.com:8080", "/a"),
            ("ws://[::1]:443/ws", "[::1]:443", "http://[::1]:443", "/ws"),
        ):
            url = parse_public_url(text)
            self.assertEqual((netloc, origin, path), (url.netloc, url.origin, url.path))
        self.assertEqual("b=c", parse_public_url("ws://a/?b=c").query)
        self.assertEqual("wss://a:8/ws?b", str(parse_public_url("wss://a:8/ws?b")))

    def test_lines(self) -> None:
        """What would mean something in a configuration, or in JavaScript, is percent-encoded."""
        url = parse_public_url("wss://a/b;}$c'%22?d=';e\\&f=g?")
        self.assertEqual("wss://a/b%3B%7D%24c%27%22?d=%27%3Be%5C&f=g?", str(url))

    def test_invalid(self) -> None:
        """Nothing gets into a request that is not part of a URL."""
        for text in (
            *("", "example.com", "https://example.com/ws", "wss:///ws", "wss://u:p@a/ws"),
            *("wss://a/ws\r\nX: y", "wss://a/w s", "wss://a:b/", "wss://a:99999/", "wss://ä/"),
            *("wss://a/\x1b[31m", "wss://a;b/", "wss://$(a)/", "wss://a'/"),
        ):
            self.assertRaises(ValueError, parse_public_url, text)

    def test_origins(self) -> None:
        self.assertEqual("https://www.example.com", parse_page_origin("https://www.example.com"))
        for text in ("www.example.com", "null", "https://a/b", "wss://a", ""):
            self.assertRaises(ValueError, parse_page_origin, text)

    def test_idle(self) -> None:
        self.assertEqual(120, parse_idle("2m"))
        for text in ("0", "11m", "long"):
            self.assertRaises(ValueError, parse_idle, text)
