"""Tests for :mod:`phpgw.checks.public_connection`; those with a proxy: test_check_public_way."""

import socket
import ssl
from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from phpgw.checks import public_connection
from phpgw.checks.addresses import Address, HostPort
from phpgw.checks.connection_attempt import Refused
from phpgw.checks.finding import Finding, Level
from phpgw.checks.public_connection import PublicConnections, check_connection
from phpgw.checks.public_url import parse_public_url

_IPV4, _IPV6 = "203.0.113.1", "2001:db8::1"


class ConnectionTestCase(SynchronousTestCase):
    """Two addresses that are reached or not, and TLS that is right or not."""

    def setUp(self) -> None:
        self.addresses = [_IPV4, _IPV6]
        self.refused: dict[str, Refused] = {}
        self.patch(public_connection, "connect", self.connect)
        self.patch(socket, "getaddrinfo", self.resolve)

    def resolve(self, host: str, port: int, type: int) -> list[tuple[object, ...]]:  # noqa: A002
        if not self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(None, type, 0, "", (each, port)) for each in self.addresses]

    def connect(self, address: Address, timeout: float) -> "socket.socket | Refused":
        return self.refused.get(address.host) or socket.socket()  # type: ignore[union-attr]

    def fail_tls(self, error: OSError) -> None:
        def open_connection(connections: PublicConnections) -> Iterator[None]:
            raise error

        self.patch(PublicConnections, "open", open_connection)

    def check(self, url: str = "ws://site.example/ws") -> tuple[dict[str, Finding], bool]:
        """Return the findings, and whether there is a way to go on."""
        steps = [*check_connection(parse_public_url(url))]
        findings = {each.id: each for each in steps if isinstance(each, Finding)}
        return findings, any(isinstance(each, PublicConnections) for each in steps)


class PortTests(ConnectionTestCase):
    def test_open(self) -> None:
        found, goes_on = self.check()
        self.assertEqual(Level.OK, found["public-port"].level)
        self.assertIn(_IPV6, found["public-name"].what)
        self.assertTrue(goes_on)

    def test_no_name(self) -> None:
        self.addresses = []
        found, goes_on = self.check()
        self.assertEqual((Level.WRONG, False), (found["public-name"].level, goes_on))
        self.assertEqual({"public-name"}, {*found})

    def test_no_name_server(self) -> None:
        """The name may be right."""

        def resolve(*arguments: object, **more: object) -> None:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

        self.patch(socket, "getaddrinfo", resolve)
        found, goes_on = self.check()
        self.assertEqual((Level.WRONG, False), (found["public-name"].level, goes_on))
        self.assertTrue(found["public-name"].fix.startswith("nameserver "))

    def test_very_many_addresses(self) -> None:
        """Only some are tried, since each takes some seconds."""
        self.addresses = [f"192.0.2.{number}" for number in range(200)]
        tried: list[str] = []

        def connect(address: HostPort, timeout: float) -> Refused:
            tried.append(address.host)
            return Refused("timeout", "no answer in time")

        self.patch(public_connection, "connect", connect)
        found, _ = self.check()
        self.assertEqual(self.addresses[:8], tried)
        self.assertLess(len(found["public-port"].seen), 1000)

    def test_closed(self) -> None:
        """Refused, timeout and unreachable are told apart."""
        for kind, words, fix in (
            ("refused", "connection refused", "listen 80;"),
            ("timeout", "does not answer", "ufw allow 80/tcp"),
            ("unreachable", "cannot be reached", "ufw allow 80/tcp"),
        ):
            self.refused = dict.fromkeys(self.addresses, Refused(kind, "as the system says"))
            found, goes_on = self.check()
            port = found["public-port"]
            self.assertEqual((Level.WRONG, fix, False), (port.level, port.fix, goes_on))
            self.assertIn(words, port.what)
            self.assertIn("as the system says", port.seen)

    def test_half_open(self) -> None:
        """One address that does not answer makes browsers slow, and does not stop them."""
        self.refused = {_IPV6: Refused("timeout", "timed out")}
        found, goes_on = self.check()
        port = found["public-port"]
        self.assertEqual((Level.WARN, "listen [::]:80;"), (port.level, port.fix))
        self.assertTrue(goes_on)


class TlsTests(ConnectionTestCase):
    def tls(self, error: OSError) -> tuple[Finding, bool]:
        self.fail_tls(error)
        found, goes_on = self.check("wss://site.example/ws")
        return found["public-tls"], goes_on

    def test_without(self) -> None:
        """It is a warning, but for this machine itself."""
        found, _ = self.check()
        fix = "new WebSocket('wss://site.example/ws')"
        self.assertEqual((Level.WARN, fix), (found["public-tls"].level, found["public-tls"].fix))
        found, _ = self.check("ws://localhost/ws")
        self.assertEqual(Level.OK, found["public-tls"].level)

    def test_wrong_certificate(self) -> None:
        """Each reason has a line of its own, and the way is followed all the same."""
        for code, words, fix in (
            (62, "another name", "certbot certonly --nginx -d site.example"),
            (10, "has expired", "certbot renew"),
            (9, "not valid yet", "certbot renew"),
            (20, "incomplete", "fullchain.pem;"),
            (18, "self-signed", "fullchain.pem;"),
            (99, "not trusted", "fullchain.pem;"),
        ):
            error = ssl.SSLCertVerificationError(1, "no")
            error.verify_code, error.verify_message = code, "as OpenSSL says"
            found, goes_on = self.tls(error)
            self.assertEqual((Level.WRONG, "as OpenSSL says"), (found.level, found.seen))
            self.assertIn(words, found.what)
            self.assertIn(fix, found.fix)
            self.assertTrue(goes_on)

    def test_no_tls(self) -> None:
        found, goes_on = self.tls(ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version"))
        self.assertEqual(("listen 443 ssl;", False), (found.fix, goes_on))
        found, goes_on = self.tls(ConnectionResetError(104, "Connection reset by peer"))
        self.assertEqual(("Connection reset by peer", False), (found.seen, goes_on))
        self.assertEqual(Level.WRONG, found.level)
