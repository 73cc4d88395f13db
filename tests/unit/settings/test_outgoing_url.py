"""Tests for :mod:`phpgw.settings.outgoing_url`."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from phpgw.settings.outgoing_url import parse_named_upstream, parse_server_url


class UrlTests(SynchronousTestCase):
    def test_urls(self) -> None:
        for text, origin, resource in (
            ("wss://example.com", "wss://example.com:443", "/"),
            ("ws://Example.COM:8080/a/b?c=d&e", "ws://example.com:8080", "/a/b?c=d&e"),
            ("ws://[2001:DB8::1]/", "ws://[2001:db8::1]:80", "/"),
            ("wss://my_host?x", "wss://my_host:443", "/?x"),
        ):
            url = parse_server_url(text)
            self.assertEqual((origin, resource), (url.origin, url.resource))

    def test_wrong_urls(self) -> None:
        for text in (
            *("", "example.com", "http://example.com/", "wss://", "wss:///path", "wss://a b/"),
            *("wss://user:s3cret@example.com/", "wss://example.com:0/", "wss://example.com:99999/"),
            *("wss://example.com/#a", "wss://exa\nmple.com/", "wss://example.com/\r\nX: y"),
            *("wss://[::1/", "wss://[fe80::1%25eth0]/", "wss://é.example/", "//example.com/"),
            *("ws://" + "a" * 300 + "/", "wss://exam[ple.com/", "wss://a..b/"),
        ):
            error = self.assertRaises(ValueError, parse_server_url, text)
            self.assertNotIn("s3cret", str(error))

    def test_upstream(self) -> None:
        path = Path(self.mktemp()).absolute()
        path.touch()
        upstream = parse_named_upstream(
            f"feed=wss://example.com/x?token=s3cret#subprotocol=mqtt&subprotocol=v2"
            f"&headers-file={path}&ca-file={path}"
        )
        self.assertEqual("feed=wss://example.com:443", str(upstream))
        self.assertNotIn("s3cret", repr(upstream))
        self.assertEqual(("mqtt", "v2"), upstream.subprotocols)
        self.assertEqual((path, path), (upstream.headers_file, upstream.ca_file))

    def test_keep(self) -> None:
        for fragment, key in (
            ("", None),
            ("#keep=all", None),
            ("#keep=latest&key=/a%2F~0", "/a/~0"),
        ):
            upstream = parse_named_upstream(f"feed=wss://example.com/{fragment}")
            self.assertEqual(key, upstream.latest_by)

    def test_wrong_upstreams(self) -> None:
        for text in (
            *("wss://example.com/", "=wss://example.com/", "a b=wss://example.com/"),
            *("x" * 65 + "=wss://example.com/", "feed=http://example.com/"),
            *("feed=wss://example.com/#x", "feed=wss://example.com/#x=y"),
            *("feed=wss://example.com/#subprotocol=a b", "feed=wss://example.com/#subprotocol="),
            "feed=wss://example.com/#subprotocol=a&subprotocol=a",
            "feed=wss://example.com/#headers-file=/nowhere/at/all",
            *("feed=wss://example.com/#keep=latest", "feed=wss://example.com/#key=/s"),
            *("feed=wss://example.com/#keep=x&key=/s", "feed=wss://example.com/#keep=latest&key=s"),
            "feed=wss://example.com/#keep=latest&key=" + "/x" * 200,
            "feed=wss://example.com/#" + "&".join(["subprotocol=a"] * 40),
        ):
            self.assertRaises(ValueError, parse_named_upstream, text)
