"""Tests for :mod:`phpgw.websocket.fast_handshake`: it responds as twisted.web, or not at all."""

import re
from ipaddress import ip_network
from typing import Any

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.task import Clock

from phpgw.hub.client import Message
from phpgw.process.proxy_protocol import ProxyFactory
from phpgw.web.fast_path_site import FastPathChannel, FastPathSite
from phpgw.web.forwarded import TrustedProxies
from phpgw.web.proxy_detection import ProxyDetector
from phpgw.web.public_probes import PublicProbes
from phpgw.websocket.connection_limit import ConnectionLimit
from phpgw.websocket.fast_handshake import FastHandshakes
from phpgw.websocket.request_info import RequestInfo
from phpgw.websocket.subprotocols import Subprotocols
from tests.support.in_memory_browser import (
    HEADERS,
    TEXT,
    InMemoryBrowser,
    InMemoryTlsBrowser,
    frame,
    request,
)
from tests.support.websocket_site import WebSocketSiteTestCase
from tests.unit.websocket import test_handshake

_PEER = IPv4Address("TCP", "192.0.2.1", 5000)
_CHROMIUM = {
    "Origin": "http://example.com",
    "Pragma": "no-cache",
    "Cache-Control": "no-cache",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0.0.0 Safari/537.36",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "en-US,en;q=0.9",
    "Cookie": "PHPSESSID=abc; theme=dark",
    "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits",
}
_OPTIONAL = (
    *(*_CHROMIUM, "Sec-WebSocket-Protocol", "X-Forwarded-For", "X-Forwarded-Proto", "Forwarded"),
    *("X-Test", "x-TEST", "Accept", "Authorization"),
)
_FRAMING = ("Content-Length", "Expect", "Transfer-Encoding", "host")
_USUAL_VALUES = (
    *(*HEADERS.values(), *_CHROMIUM.values()),
    *("json", "xml, json", "a, a", "", " ", "  websocket  ", "13 ", "0", "1"),
    *("keep-alive, Upgrade", "close", "https://example.com", "null"),
    *("http://evil.example", "1.2.3.4", "for=1.2.3.4;proto=https", "https"),
    *("192.0.2.1", "[::1]:80", "example.com", "chunked", "100-continue"),
)
_VALUES = st.one_of(
    st.none(),
    st.sampled_from(_USUAL_VALUES),
    st.text(st.characters(max_codepoint=255), max_size=20),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
)
_DATE = re.compile(rb"\r\nDate: [^\r]*")


class _FastSiteTestCase(WebSocketSiteTestCase):
    """A site with the fast path.

    :ivar opened: whether each connection's first bytes were a handshake of the fast path.
    """

    has_fast_path = True

    def limit(self, connection_limit: Any = None, **changes: Any) -> None:
        super().limit(connection_limit=connection_limit, **changes)
        self.opened: list[bool] = []
        if self.has_fast_path:
            handshakes = FastHandshakes(self.websocket, "/ws", PublicProbes(Clock().seconds))
            serve = handshakes.serve

            def noting(channel: FastPathChannel, data: bytes) -> bool:
                self.opened.append(serve(channel, data))
                return self.opened[-1]

            handshakes.serve = noting  # type: ignore[method-assign]
            self.site = FastPathSite([handshakes], self.site.resource, 1000, self.clock)


class SameTests(_FastSiteTestCase, test_handshake.HandshakeTests):
    """All that holds for handshakes holds with the fast path, too."""

    def test_whatever_comes(self) -> None:
        """See :class:`DifferentialTests`."""


class FastHandshakeTests(_FastSiteTestCase):
    def assert_fast(self, sent: bytes, *, is_fast: bool = True) -> InMemoryBrowser:
        browser = InMemoryBrowser(self.site)
        browser.send(sent)
        self.assertEqual([is_fast], self.opened, sent)
        return browser

    def test_browsers(self) -> None:
        self.limit(compression=True)
        browser = self.assert_fast(request(**_changes(_CHROMIUM)))
        browser.read_response()
        self.assertIn(b"permessage-deflate", browser.response)
        browser.send(frame(TEXT, b"hello"))
        self.assertEqual([Message(b"hello")], [message for _, message in self.relay.received])

    def test_not_plain(self) -> None:
        head = request()
        for sent in (
            head[:-2],
            head + frame(TEXT, b"hello"),
            b"\r\n" + head,
            head.replace(b"\r\n", b"\n"),
            request("/elsewhere"),
            request("/wss"),
            request("/ws/"),
            request("http://example.com/ws"),
            request("/ws?caf\xe9"),
            request("/ws?a b"),
            request(X_Test="caf\xe9"),
            request(X_Test="a\tb"),
            request(X_Test="a\r\n b"),
            request(X_1="a"),
            request(Content_Length="0"),
            request(Expect="100-continue"),
            request(Host=None),
            request(Host="a b"),
            request(Origin="https://other.example"),
            request(X_Test="x" * 8192),
            head[:-2] + b"a:\r\n" * 100 + b"\r\n",
        ):
            self.limit()
            self.assert_fast(sent, is_fast=False)

    def test_only_first(self) -> None:
        """What follows other requests is read by twisted.web."""
        browser = InMemoryBrowser(self.site)
        browser.send(b"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n")
        browser.read_response()
        browser.shake_hands()
        self.assertEqual(([False], 101), (self.opened, browser.status))

    def test_limits(self) -> None:
        """A handshake over the limit is counted and refused once."""
        self.limit(connection_limit=ConnectionLimit(1))
        self.connect(_PEER)
        second = self.connect(IPv4Address("TCP", "192.0.2.1", 5001))
        self.assertEqual(([True, False], 503), (self.opened, second.status))
        self.assertEqual(
            (1, 1), (self.metrics.handshakes_refused.total(), self.metrics.handshakes_refused_full)
        )

    def test_nothing_is_left(self) -> None:
        """The HTTP connection is no longer idle, and has no timeout."""
        browser = self.connect()
        self.assertEqual([True], self.opened)
        self.assertEqual(0, self.site.idle_connections.metrics.http_connections_now)
        self.clock.advance(600)
        self.assertFalse(browser.is_cut)
        browser.hang_up()
        self.assertEqual([(1006, "")], self.relay.ends())
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_wrapped(self) -> None:
        """Over TLS, and behind the PROXY protocol."""
        pem = test_handshake.make_pem(self.mktemp())
        InMemoryTlsBrowser(self.site, pem).shake_hands()
        self.assertTrue(self.connection().client.handshake.is_secure)
        self.limit()
        browser = InMemoryBrowser(ProxyFactory(self.site, self.clock))
        browser.send(b"PROXY TCP4 203.0.113.9 192.0.2.80 4321 8080\r\n")
        browser.shake_hands()
        self.assertEqual([True], self.opened)
        self.assertEqual("203.0.113.9:4321", self.connection().client.id)

    def test_proxy_is_detected(self) -> None:
        detector = ProxyDetector(TrustedProxies())
        self.websocket._proxy_detector = detector
        browser = InMemoryBrowser(self.site, IPv4Address("TCP", "127.0.0.1", 5000))
        browser.shake_hands()
        self.assertEqual([True], self.opened)
        self.assertTrue(detector.is_proxied(8080))
        self.flushLoggedErrors()


@attrs.frozen
class _Outcome:
    """What has come of a request."""

    written: bytes
    is_cut: bool
    identities: list[Any]
    counted: list[dict[str, Any]]
    received: list[Message]


class DifferentialTests(_FastSiteTestCase):
    @given(
        st.one_of(
            st.dictionaries(
                st.sampled_from([*HEADERS, *_OPTIONAL, *_FRAMING]), _VALUES, max_size=6
            ),
            st.dictionaries(st.sampled_from(_OPTIONAL), _VALUES, max_size=6),
            st.dictionaries(st.sampled_from(_OPTIONAL), st.sampled_from(_USUAL_VALUES)),
        ),
        st.sampled_from(["/ws"] * 4 + ["/ws?a=b&c", "/ws?", "/ws/", "//ws", "*", "/ws#a", "/"]),
        st.sampled_from([b""] * 4 + [frame(TEXT, b"hello"), b"\r\n", b"x", b"GET / HTTP/1.1\r\n"]),
        st.sampled_from([_PEER, IPv4Address("TCP", "127.0.0.1", 5000), UNIXAddress(None)]),
        st.booleans(),
    )
    @settings(deadline=None, max_examples=300)
    def test_random_requests(
        self,
        headers: dict[str, str | None],
        path: str,
        behind: bytes,
        peer: Any,
        is_strict: bool,
    ) -> None:
        sent = request(path, **_changes(headers)) + behind
        outcomes = [self.outcome(sent, peer, is_strict, each) for each in (False, True)]
        self.assertEqual(*outcomes)

    def outcome(self, sent: bytes, peer: Any, is_strict: bool, has_fast_path: bool) -> _Outcome:
        self.has_fast_path = has_fast_path
        self.setUp()
        self.request_info = RequestInfo(
            ["https://example.com"] if is_strict else (),
            ["X-Test"],
            TrustedProxies([ip_network("192.0.2.1")]),
        )
        self.subprotocols = Subprotocols(["json"], self.clock.seconds)
        self.limit(compression=True)
        browser = InMemoryBrowser(self.site, peer)
        browser.send(sent)
        return _Outcome(
            written=_DATE.sub(b"", browser.transport.value()),
            is_cut=browser.is_cut,
            identities=[(each.id, each.handshake) for each in self.registry],
            counted=[
                attrs.asdict(each) for each in (self.metrics, self.site.idle_connections.metrics)
            ],
            received=[message for _, message in self.relay.received],
        )


def _changes(headers: dict[str, Any]) -> dict[str, Any]:
    return {name.replace("-", "_"): value for name, value in headers.items()}
