"""What PHP gets to see of a browser's handshake, and whose cookies it gets."""

from collections.abc import Iterable
from typing import Any

from twisted.internet.address import IPv6Address
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Request

from phpgw.backend import Handshake
from phpgw.identity import visible_handshake
from tests.fakes import LOCAL, REMOTE, UNIX, request


class _Looking(Resource):
    isLeaf = True
    seen: Handshake

    def render_GET(self, request: Request) -> bytes:
        self.seen = visible_handshake(request)
        return b""


class IdentityTestCase(SynchronousTestCase):
    def see(self, *headers: tuple[str, str], target: str = "/ws", **connection: Any) -> Handshake:
        """What PHP sees of a handshake with these headers."""
        looking = _Looking()
        request(looking, "GET", target, headers=headers, **connection)
        return looking.seen


class HandshakeTests(IdentityTestCase):
    def test_ends(self) -> None:
        seen = self.see(peer=REMOTE, host=LOCAL)
        self.assertEqual(("203.0.113.7", 51110), (seen.peer_host, seen.peer_port))
        self.assertEqual(("127.0.0.1", 51110), (seen.server_host, seen.server_port))

    def test_unix(self) -> None:
        seen = self.see(peer=UNIX, host=UNIX)
        self.assertEqual(("", 0, "", 0), (seen.peer_host, seen.peer_port, seen.server_host, 0))

    def test_ipv6(self) -> None:
        seen = self.see(peer=IPv6Address("TCP", "2001:db8::1", 5))
        self.assertEqual(("2001:db8::1", 5), (seen.peer_host, seen.peer_port))

    def test_url(self) -> None:
        """The query arrives as it was written, for PHP to read."""
        seen = self.see(("Host", "Example.COM:8080"), target="/a%20b/ws?room=5&x=%E4?y")
        self.assertEqual(b"Example.COM:8080", seen.host)
        self.assertEqual((b"/a%20b/ws", b"room=5&x=%E4?y"), (seen.path, seen.query))

    def test_no_query(self) -> None:
        self.assertEqual((b"/ws", b""), (self.see().path, self.see(target="/ws?").query))

    def test_tls(self) -> None:
        self.assertFalse(self.see().is_secure)
        self.assertTrue(self.see(is_secure=True).is_secure)


class HeaderTests(IdentityTestCase):
    def test_passed_on(self) -> None:
        headers = (
            ("Origin", "http://localhost:8080"),
            ("User-Agent", "Firefox"),
            ("Accept-Language", "zh, en;q=0.5"),
            ("Cookie", "PHPSESSID=1; theme=dark"),
            ("Authorization", "Basic eDp5"),
        )
        expected = [(name.encode(), value.encode()) for name, value in headers]
        self.assertEqual(sorted(expected), sorted(self.see(*headers).headers))

    def test_kept_back(self) -> None:
        """No header gets past the list, least of all one by which PHP knows the gateway."""
        names = (
            "Phpgw-User",
            "Phpgw-Client-Id",
            "X-Forwarded-For",
            "Forwarded",
            "Proxy",
            "Content-Type",
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Protocol",
            "X-Anything",
            "Cookie2",
            "Proxy-Authorization",
            "User_Agent",
        )
        self.assertEqual((), self.see(*((name, "x") for name in names)).headers)

    def test_names_in_any_case(self) -> None:
        seen = self.see(("cookie", "a=1"), ("USER-AGENT", "curl"))
        self.assertEqual({b"Cookie": b"a=1", b"User-Agent": b"curl"}, dict(seen.headers))

    def test_repeated(self) -> None:
        """Cookies in several headers are parted by semicolons, lists by commas."""
        seen = self.see(
            ("Cookie", "a=1"),
            ("Accept-Language", "zh"),
            ("Cookie", "b=2"),
            ("Accept-Language", "en"),
        )
        self.assertEqual(
            {b"Cookie": b"a=1; b=2", b"Accept-Language": b"zh, en"}, dict(seen.headers)
        )

    def test_bytes(self) -> None:
        """A value that is not ASCII arrives as its very bytes."""
        self.assertEqual(((b"Cookie", b"a=\xe9\xff"),), self.see(("Cookie", "a=\xe9\xff")).headers)


class OriginTests(IdentityTestCase):
    def assert_known(self, pairs: Iterable[tuple[str, str]], expected: bool) -> None:
        """Whether the visitor's cookies and password go to PHP, by the page's origin and host."""
        for origin, host in pairs:
            seen = self.see(
                ("Origin", origin),
                ("Host", host),
                ("Cookie", "PHPSESSID=1"),
                ("Authorization", "Basic eDp5"),
                ("User-Agent", "Firefox"),
            )
            names = {name for name, _ in seen.headers}
            credentials = {b"Cookie", b"Authorization"} if expected else set()
            self.assertEqual(credentials | {b"Origin", b"User-Agent"}, names, f"{origin} on {host}")

    def test_same_host(self) -> None:
        """A page of the same host acts for its visitor, whatever scheme, port and case."""
        self.assert_known(
            [
                ("http://example.com", "example.com"),
                ("https://example.com", "example.com"),
                ("http://example.com", "example.com:8080"),
                ("http://example.com:3000", "example.com:8080"),
                ("https://EXAMPLE.com", "example.COM:8443"),
                ("http://127.0.0.1", "127.0.0.1:8080"),
                ("http://[::1]", "[::1]:8080"),
                ("http://[2001:DB8::1]:3000", "[2001:db8::1]"),
            ],
            True,
        )

    def test_other_host(self) -> None:
        """A page of another host does not, however much its name resembles ours."""
        self.assert_known(
            [
                ("http://evil.example", "example.com"),
                ("http://example.com.evil.example", "example.com"),
                ("http://evil-example.com", "example.com"),
                ("http://www.example.com", "example.com"),
                ("http://example.com", "www.example.com"),
                ("http://example.com@evil.example", "example.com"),
                ("http://evil.example/example.com", "example.com"),
                ("http://127.0.0.1", "localhost:8080"),
                ("http://[::2]", "[::1]:8080"),
                ("http://[::1", "[::1]:8080"),
            ],
            False,
        )

    def test_nobodys_page(self) -> None:
        """A sandboxed frame, a local file, an extension: none of them is the site."""
        self.assert_known(
            [
                ("null", "example.com"),
                ("null", "null"),
                ("file://", "example.com"),
                ("example.com", "example.com"),
                ("chrome-extension://abcdef", "example.com"),
                (" ", "example.com"),
            ],
            False,
        )

    def test_no_host(self) -> None:
        self.assert_known([("http://example.com", ""), ("null", "")], False)

    def test_no_origin(self) -> None:
        """A program is no browser, and acts for whoever gave it the cookie."""
        seen = self.see(("Cookie", "PHPSESSID=1"), ("Authorization", "Bearer x"))
        self.assertEqual(
            {b"Cookie": b"PHPSESSID=1", b"Authorization": b"Bearer x"}, dict(seen.headers)
        )
