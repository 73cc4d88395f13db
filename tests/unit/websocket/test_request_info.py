"""Tests for :mod:`phpgw.websocket.request_info`."""

import contextlib
from collections.abc import Iterable
from ipaddress import ip_network
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv6Address
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Request

from phpgw.backend.event import Handshake
from phpgw.backend.headers import browser_headers
from phpgw.metrics import Metrics
from phpgw.web.forwarded import UNIX as UNIX_PROXY
from phpgw.web.forwarded import InvalidForwardedHeaders, TrustedProxies
from phpgw.websocket.cross_origin import CrossOriginLog
from phpgw.websocket.request_info import OriginNotAllowed, RequestInfo
from tests.support.fakes import LOCAL, REMOTE, UNIX, request
from tests.unit.web.test_origin import ODD


class _Looking(Resource):
    isLeaf = True

    def __init__(self, request_info: RequestInfo) -> None:
        super().__init__()
        self._request_info = request_info
        self.seen: Handshake | None = None

    def render_GET(self, request: Request) -> bytes:
        with contextlib.suppress(OriginNotAllowed, InvalidForwardedHeaders):
            self.seen = self._request_info.read(request)
        return b""


class IdentityTestCase(SynchronousTestCase):
    request_info = RequestInfo()

    def look(
        self, *headers: tuple[str, str], target: str = "/ws", **connection: Any
    ) -> Handshake | None:
        """What PHP sees of a handshake with these headers; ``None`` if it is refused."""
        looking = _Looking(self.request_info)
        request(looking, "GET", target, headers=headers, **connection)
        return looking.seen

    def see(self, *headers: tuple[str, str], **request: Any) -> Handshake:
        """Return the handshake of a request that is not refused."""
        seen = self.look(*headers, **request)
        assert seen is not None
        return seen


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


class ProxyTests(IdentityTestCase):
    """Headers of proxies count only if the administrator trusts them."""

    trusting = RequestInfo(proxies=TrustedProxies([ip_network("127.0.0.1"), UNIX_PROXY]))
    said = (
        ("X-Forwarded-For", "1.2.3.4, 203.0.113.7"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "example.com"),
    )

    def test_nobody_is_believed(self) -> None:
        for peer in (LOCAL, REMOTE, UNIX):
            self.assertEqual(self.see(peer=peer), self.see(*self.said, peer=peer))

    def test_believed(self) -> None:
        self.request_info = self.trusting
        for peer in (LOCAL, UNIX):
            seen = self.see(*self.said, peer=peer)
            self.assertEqual(
                ("203.0.113.7", 0, True, b"example.com"),
                (seen.peer_host, seen.peer_port, seen.is_secure, seen.host),
            )

    def test_in_several_headers(self) -> None:
        self.request_info = self.trusting
        seen = self.see(("X-Forwarded-For", "1.2.3.4"), ("x-forwarded-for", "203.0.113.7:5"))
        self.assertEqual(("203.0.113.7", 5), (seen.peer_host, seen.peer_port))

    def test_forwarded(self) -> None:
        self.request_info = self.trusting
        seen = self.see(("Forwarded", 'for="[2001:db8::1]:5";proto=https;host=example.com'))
        self.assertEqual(
            ("2001:db8::1", 5, True, b"example.com"),
            (seen.peer_host, seen.peer_port, seen.is_secure, seen.host),
        )

    def test_somebody_else(self) -> None:
        self.request_info = self.trusting
        self.assertEqual(self.see(peer=REMOTE), self.see(*self.said, peer=REMOTE))

    def test_never_a_header(self) -> None:
        """PHP learns it as it learns the address of a browser that comes directly."""
        self.request_info = self.trusting
        self.assertEqual((), self.see(*self.said).headers)

    def test_same_site(self) -> None:
        """The host that the browser asked for is the one that the proxy tells."""
        for request_info, expected in ((self.trusting, True), (RequestInfo(), False)):
            self.request_info = request_info
            seen = self.see(("Origin", "https://example.com"), ("Cookie", "a=1"), *self.said)
            self.assertEqual(expected, b"Cookie" in dict(seen.headers))

    def test_contradiction(self) -> None:
        self.request_info = self.trusting
        self.assertIsNone(self.look(*self.said, ("Forwarded", "for=1.2.3.4")))


class HeaderTests(IdentityTestCase):
    def test_passed_on(self) -> None:
        headers = (
            ("Origin", "http://localhost:8080"),
            ("User-Agent", "Firefox"),
            ("Accept-Language", "zh, en;q=0.5"),
            ("Sec-Websocket-Protocol", "chat, superchat"),
            ("Cookie", "PHPSESSID=1; theme=dark"),
            ("Authorization", "Basic eDp5"),
            ("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            ("Tracestate", "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"),
        )
        expected = [(name.encode(), value.encode()) for name, value in headers]
        seen = [(name.title(), value) for name, value in self.see(*headers).headers]
        self.assertEqual(sorted(expected), sorted(seen))

    def test_kept_back(self) -> None:
        """No header gets past the list, least of all one by which PHP knows the gateway."""
        names = (
            "Phpgw-User",
            "Phpgw-Client-Id",
            "Phpgw-State",
            "Phpgw-Event",
            "Phpgw-Signature",
            "X-Forwarded-For",
            "Forwarded",
            "Proxy",
            "Content-Type",
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Extensions",
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

    def test_forwarded(self) -> None:
        """Named headers are passed on, once, and no others."""
        self.request_info = RequestInfo(forwarded=["X-Request-Id", "X-Team", "X-Request-Id"])
        seen = self.see(
            ("x-request-id", "7"), ("X-Team", "red"), ("X-Team", "blue"), ("X-Other", "x")
        )
        self.assertEqual(((b"X-Request-Id", b"7"), (b"X-Team", b"red, blue")), seen.headers)

    def test_forwarded_of_strangers(self) -> None:
        """Named headers can have credentials, so pages of other sites do not pass them on."""
        self.request_info = RequestInfo(forwarded=["X-Remote-User"])
        for origin, expected in [
            ("http://localhost", {b"Origin", b"X-Remote-User"}),
            ("http://evil.example", {b"Origin"}),
        ]:
            seen = self.see(("Origin", origin), ("X-Remote-User", "alice"))
            self.assertEqual(expected, {name for name, _ in seen.headers})

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
        """A page of the same host acts for its visitor, whatever port and case.

        One of https:// also where TLS ends at a proxy that does not say so.
        """
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

    def test_odd(self) -> None:
        """An Origin that no browser writes is never of the same site."""
        self.assert_known(
            [
                *((origin, "example.com") for origin in ODD if origin and origin == origin.strip()),
                ("javascript://example.com", "example.com"),
                ("ftp://example.com", "example.com"),
                ("ws://example.com", "example.com"),
                ("app://example.com", "example.com"),
                ("file://example.com", "example.com"),
            ],
            False,
        )

    def test_insecure_page_of_a_secure_site(self) -> None:
        """An attacker on the network can write pages of http://."""
        site = ("Host", "example.com")
        said: tuple[tuple[str, str], ...]
        for is_secure, said in (
            (True, ()),
            # By a proxy that is trusted, or by whomever: no page can forge it.
            (False, (("X-Forwarded-Proto", "https"),)),
            (False, (("X-Forwarded-Proto", "HTTPS, http"),)),
            (False, (("X-Forwarded-Scheme", "wss"),)),
            (False, (("Forwarded", "for=192.0.2.1;proto=https"),)),
        ):
            for request_info in (RequestInfo(), ProxyTests.trusting):
                self.request_info = request_info
                for origin, is_own in (
                    ("http://example.com", False),
                    ("HTTP://example.com:8080", False),
                    ("https://example.com", True),
                    ("https://example.com:8443", True),
                ):
                    seen = self.see(
                        ("Origin", origin), ("Cookie", "a=1"), site, *said, is_secure=is_secure
                    )
                    self.assertEqual(is_own, b"Cookie" in dict(seen.headers), (origin, said))

    def test_insecure_page_of_an_insecure_site(self) -> None:
        self.request_info = ProxyTests.trusting
        seen = self.see(
            ("Origin", "http://example.com"),
            ("Host", "example.com"),
            ("Cookie", "a=1"),
            ("X-Forwarded-Proto", "http"),
        )
        self.assertIn(b"Cookie", dict(seen.headers))

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

    def test_php_is_told(self) -> None:
        """PHP is told of a cross-origin page, with or without cookies."""
        for headers, expected in (
            ((), False),
            ((("Origin", "http://localhost"),), False),
            ((("Origin", "http://evil.example"),), True),
            ((("Origin", "null"), ("Cookie", "a=1")), True),
        ):
            seen = self.see(*headers, ("Phpgw-Cross-Origin", "0"))
            self.assertEqual(expected, seen.is_cross_origin)
            header = (b"Phpgw-Cross-Origin", b"1")
            self.assertEqual(expected, header in browser_headers(seen))

    def test_log(self) -> None:
        """Every handshake of another site counts, also one that is refused."""
        metrics = Metrics()
        for allowed in ((), ("https://app.example.com",)):
            self.request_info = RequestInfo(allowed, log=CrossOriginLog(metrics))
            for origin in ("http://evil.example", "http://localhost"):
                self.look(("Origin", origin))
        self.look()
        self.assertEqual(2, metrics.handshakes_cross_origin)

    def test_several_origins(self) -> None:
        """No browser sends two; one of them is not enough."""
        for pages in (["example.com", "evil.example"], ["evil.example", "example.com"]):
            origins = [("Origin", f"http://{page}") for page in pages]
            seen = self.see(*origins, ("Host", "example.com"), ("Cookie", "a=1"))
            self.assertNotIn(b"Cookie", dict(seen.headers))

    def test_no_host(self) -> None:
        self.assert_known([("http://example.com", " "), ("null", " ")], False)

    def test_no_origin(self) -> None:
        """A client without an Origin is no page in a browser, so it is trusted."""
        seen = self.see(("Cookie", "PHPSESSID=1"), ("Authorization", "Bearer x"))
        self.assertEqual(
            {b"Cookie": b"PHPSESSID=1", b"Authorization": b"Bearer x"}, dict(seen.headers)
        )


class AllowedOriginTests(IdentityTestCase):
    request_info = RequestInfo(["https://app.example.com", "http://localhost:3000"])

    def test_allowed(self) -> None:
        """Its pages act for their visitors, as those of the same host do."""
        for origin in (
            "https://app.example.com",
            "HTTPS://APP.example.com",
            "http://localhost:3000",
            "http://example.com",
            "https://example.com:8443",
        ):
            seen = self.see(("Origin", origin), ("Host", "example.com"), ("Cookie", "a=1"))
            self.assertEqual(b"a=1", dict(seen.headers).get(b"Cookie"), origin)

    def test_alike(self) -> None:
        self.request_info = RequestInfo(["https://*.example.com", "capacitor://localhost", "null"])
        for origin in ("https://a.example.com", "capacitor://localhost", "null"):
            seen = self.see(("Origin", origin), ("Host", "other.example"), ("Cookie", "a=1"))
            self.assertEqual(b"a=1", dict(seen.headers).get(b"Cookie"), origin)
        for origin in ("https://example.com.evil.example", "http://a.example.com", "file://"):
            self.assertIsNone(self.look(("Origin", origin), ("Host", "other.example")), origin)

    def test_all_others_are_refused(self) -> None:
        for origin in (
            "null",
            "",
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com.evil.example",
            "https://www.app.example.com",
            "https://app.example.com, https://evil.example",
            "http://localhost:3001",
            "file://",
        ):
            headers = (("Origin", origin or " "), ("Host", "example.com"))
            self.assertIsNone(self.look(*headers), origin)

    def test_no_origin(self) -> None:
        """Not a browser."""
        self.assertIsNotNone(self.look(("Cookie", "a=1")))


_HEADERS = ("Cookie", "Authorization", "Origin", "User-Agent", "X-Forwarded-For", "X-Team", "Via")
_SITES = ("https://example.com", "HTTP://EXAMPLE.COM:80", "http://evil.example", "null", "[::1]")


class PropertyTests(IdentityTestCase):
    @given(
        st.lists(
            st.tuples(
                st.sampled_from([*_HEADERS, *map(str.lower, _HEADERS), "Phpgw-User"]),
                st.one_of(
                    st.sampled_from(_SITES),
                    st.text(st.sampled_from("https:/@[]?#example.com\\%"), min_size=1),
                    st.text(
                        st.characters(max_codepoint=255, exclude_categories=["Cc"]), min_size=1
                    ),
                ),
            ),
            max_size=6,
        )
    )
    def test_whatever_comes(self, headers: list[tuple[str, str]]) -> None:
        """Only listed headers are passed on, and credentials only for the same site."""
        self.request_info = RequestInfo(forwarded=["X-Team"])
        seen = self.see(("Host", "example.com"), *headers)
        names = [name for name, _ in seen.headers]
        self.assertEqual(len(set(names)), len(names))
        listed = {b"Origin", b"User-Agent", b"Cookie", b"Authorization", b"X-Team"}
        self.assertLessEqual(set(names), listed)
        self.assertEqual("127.0.0.1", seen.peer_host)
        for name, origin in headers:
            if name.lower() == "origin" and "example.com" not in origin.lower():
                self.assertLessEqual(set(names), {b"Origin", b"User-Agent"}, origin)
