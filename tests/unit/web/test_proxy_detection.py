"""Tests for :mod:`phpgw.web.proxy_detection`."""

from collections.abc import Iterable
from ipaddress import ip_network
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.protocols.haproxy._wrapper import HAProxyWrappingFactory
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Request

from phpgw.api.access import Access
from phpgw.web.forwarded import UNIX as UNIX_PROXY
from phpgw.web.forwarded import TrustedProxies
from phpgw.web.proxy_detection import ProxyDetector
from tests.support.fakes import LOCAL, REMOTE, UNIX, Answer, Exchange, request, request_head
from tests.unit.api.test_access import _Door

PORT = IPv4Address("TCP", "127.0.0.1", 8080)
OTHER_PORT = IPv4Address("TCP", "127.0.0.1", 9090)
Headers = tuple[tuple[str, str], ...]
# Of handshakes that come from this machine.
THROUGH_PROXIES: tuple[Headers, ...] = (
    # Nginx, told no more than to upgrade.
    (("Host", "127.0.0.1:8080"), ("Origin", "https://example.com")),
    (("Host", "phpgw"), ("Origin", "http://203.0.113.7:8000")),
    # Nginx, told Host; HAProxy; whatever passes on bytes. With a browser, and with an app.
    (("Host", "example.com"), ("Origin", "https://example.com")),
    (("Host", "example.com:8080"),),
    (("Host", "192.168.1.5"), ("Origin", "http://192.168.1.5")),
    (("Host", "[2001:db8::1]"),),
    (("Host", "intranet"),),
    # An app's page, whose Origin says nothing.
    (("Host", "example.com"), ("Origin", "capacitor://localhost")),
    # Apache and Caddy tell the client.
    (("Host", "localhost:8080"), ("X-Forwarded-For", "203.0.113.7")),
    (("Host", "localhost:8080"), ("X-Forwarded-For", "127.0.0.1, 2001:db8::1")),
    (("Host", "localhost:8080"), ("X-Real-IP", "203.0.113.7")),
    (("Host", "localhost:8080"), ("CF-Connecting-IP", "2001:db8::1")),
)
FROM_HERE: tuple[Headers, ...] = (
    (),
    (("Host", "127.0.0.1:8080"),),
    (("Host", "[::1]:8080"), ("Origin", "http://localhost")),
    (("Host", "localhost:8080"), ("Origin", "http://127.0.0.1:3000")),
    (("Host", "app.localhost"), ("Origin", "https://app.localhost:8443")),
    (("Host", "host.docker.internal:8080"),),
    (("Host", "0.0.0.0:8080"),),
    # A file, a sandboxed frame, an app: they may be here as well as elsewhere.
    (("Host", "localhost"), ("Origin", "null")),
    (("Host", "localhost"), ("Origin", "file://")),
    (("Host", "localhost"), ("Origin", "tauri://localhost")),
    (("Host", "localhost"), ("Origin", "chrome-extension://abcdef")),
    (("Host", "localhost"), ("Origin", "http://evil\\@example.com")),
    # A developer's own proxy.
    (("Host", "localhost"), ("X-Forwarded-For", "127.0.0.1"), ("X-Real-IP", "::1")),
    (("Host", "localhost"), ("X-Forwarded-For", "unknown")),
)


class _Noting(Resource):
    isLeaf = True

    def __init__(self, ports: ProxyDetector) -> None:
        super().__init__()
        self._ports = ports

    def render_GET(self, request: Request) -> bytes:
        self._ports.inspect_handshake(request)
        return b""


class ProxyDetectionTestCase(SynchronousTestCase):
    proxies = TrustedProxies()

    def setUp(self) -> None:
        self.ports = ProxyDetector(self.proxies)
        self.access = Access(proxy_detector=self.ports)

    def shake_hands(
        self, headers: Headers, peer: IAddress = LOCAL, host: IAddress = PORT, **more: Any
    ) -> None:
        request(_Noting(self.ports), "GET", "/ws", headers=headers, peer=peer, host=host, **more)

    def push(self, peer: IAddress = LOCAL, host: IAddress = PORT) -> Answer:
        return request(_Door(self.access), "POST", "/", peer=peer, host=host)

    def assert_open(self, where: Iterable[tuple[IAddress, IAddress]]) -> None:
        for peer, host in where:
            self.assertEqual(200, self.push(peer, host).status, (peer, host))


class HandshakeTests(ProxyDetectionTestCase):
    def test_through_a_proxy(self) -> None:
        """From then on, the port refuses API requests from this machine."""
        for headers in THROUGH_PROXIES:
            self.setUp()
            self.assertEqual(200, self.push().status)
            with capturedLogs():
                self.shake_hands(headers)
            answer = self.push()
            self.assertEqual(403, answer.status, headers)
            self.assertIn(b"There is a proxy on this machine in front of this port", answer.body)
            self.assertIn(b"--api-listen", answer.body)

    def test_from_here(self) -> None:
        for headers in FROM_HERE:
            self.shake_hands(headers)
            self.assertEqual(200, self.push().status, headers)

    def test_from_another_machine(self) -> None:
        """Forged Host and Origin headers from other machines have no effect."""
        for peer in (REMOTE, IPv6Address("TCP", "2001:db8::1", 5)):
            for headers in THROUGH_PROXIES:
                self.shake_hands(headers, peer=peer)
                self.assertEqual(200, self.push().status, headers)

    def test_through_the_proxy_protocol(self) -> None:
        """No peer is local there."""
        for headers in THROUGH_PROXIES:
            exchange = Exchange(
                _Noting(self.ports), peer=LOCAL, host=PORT, wrapper=HAProxyWrappingFactory
            )
            head = request_head("GET", "/ws", headers)
            exchange.send(b"PROXY TCP4 127.0.0.1 127.0.0.1 5 8080\r\n" + head)
            self.assertEqual(200, self.push().status)

    def test_other_ports(self) -> None:
        """Other ports do not change."""
        socket, other_socket = UNIXAddress("/run/a.sock"), UNIXAddress("/run/b.sock")
        with capturedLogs():
            self.shake_hands(THROUGH_PROXIES[0])
            self.assert_open([(LOCAL, OTHER_PORT), (UNIX, socket)])
            self.shake_hands(THROUGH_PROXIES[0], peer=UNIX, host=socket)
        self.assertEqual(403, self.push(UNIX, socket).status)
        self.assert_open([(LOCAL, OTHER_PORT), (UNIX, other_socket)])

    def test_port_on_all_addresses(self) -> None:
        """It is the same port for all its addresses."""
        with capturedLogs():
            self.shake_hands(THROUGH_PROXIES[0], host=IPv6Address("TCP", "::1", 8080))
        for host in (PORT, IPv4Address("TCP", "127.0.0.2", 8080)):
            self.assertEqual(403, self.push(host=host).status)

    def test_log(self) -> None:
        """One critical line has the header that revealed the proxy, and what to do."""
        with capturedLogs() as events:
            for headers in THROUGH_PROXIES:
                self.shake_hands(headers)
        [event] = [event for event in events if event["log_level"] is LogLevel.critical]
        line = formatEvent(event)
        for fact in (
            *("Origin https://example.com", "port 8080", "--api-listen"),
            *("tcp:8081:interface=127.0.0.1", "--api-token-file", "--api-trust-local on"),
        ):
            self.assertIn(fact, line)

    def test_trusted_machine(self) -> None:
        """With --api-trust-local, it has no effect."""
        self.access = Access(trusts_local=True)
        with capturedLogs():
            self.shake_hands(THROUGH_PROXIES[0])
        self.assertEqual(200, self.push().status)


class TrustedProxyTests(ProxyDetectionTestCase):
    """A configured proxy needs no detection."""

    proxies = TrustedProxies([ip_network("127.0.0.1"), UNIX_PROXY])

    def test_named(self) -> None:
        for peer in (LOCAL, UNIX):
            answer = self.push(peer)
            self.assertEqual(403, answer.status)
            self.assertIn(b"(--trusted-proxy)", answer.body)

    def test_not_named(self) -> None:
        self.assert_open([(IPv6Address("TCP", "::1", 5), PORT)])
