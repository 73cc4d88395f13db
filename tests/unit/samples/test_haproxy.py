"""Tests for :mod:`phpgw.samples.haproxy`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.samples.haproxy import make_backend, make_configuration
from phpgw.samples.proxied_gateway import ProxiedGateway, find_gateway, parse_address
from phpgw.samples.text import CannotWrite
from tests.support.sample_settings import given


def gateway(address: str | None = None, **texts: str) -> ProxiedGateway:
    server = None if address is None else parse_address(address)
    return find_gateway(given(**texts), server, speaks_proxy_protocol=True)


def backend(address: str | None = None, **texts: str) -> str:
    return make_backend(gateway(address, **texts))


class BackendTests(SynchronousTestCase):
    def test_one_path(self) -> None:
        """Only the WebSocket is passed on, for as long as the gateway's pings allow."""
        text = backend(ws_path="/a", ping_interval="1m")
        self.assertIn("    http-request deny deny_status 404 unless { path /a }\n", text)
        self.assertIn("    timeout tunnel 195s\n", text)
        self.assertTrue(text.endswith("    server phpgw 127.0.0.1:8080\n"))

    def test_limits(self) -> None:
        self.assertIn("#     maxconn 1012\n", backend(max_connections="500"))
        self.assertNotIn("maxconn", backend(max_connections="0"))
        self.assertIn("sends no pings", backend(ping_interval="0"))

    def test_tls(self) -> None:
        """A certificate is checked if the connection leaves the machine."""
        text = backend(listen="ssl:8443:privateKey=/k")
        self.assertTrue(text.endswith("server phpgw 127.0.0.1:8443 ssl verify none\n"))
        text = backend("gateway.example:8443", listen="ssl:8443:privateKey=/k")
        self.assertIn("ssl verify required ca-file ", text)
        self.assertTrue(text.endswith("verifyhost gateway.example\n"))

    def test_proxy_protocol(self) -> None:
        text = backend(listen="haproxy:tcp:8080")
        self.assertTrue(text.endswith("server phpgw 127.0.0.1:8080 send-proxy-v2\n"))
        self.assertIn("PROXY protocol", text)

    def test_hostile_values(self) -> None:
        self.assertIn("server phpgw 'unix@/run/a \"b#\\'\n", backend(listen='/run/a "b#\\'))
        for path in ("/run/a'b", "/run/$a", "/run/a\nb"):
            self.assertRaises(CannotWrite, backend, listen=path)


class ConfigurationTests(SynchronousTestCase):
    def test_certificate(self) -> None:
        text = make_configuration(gateway(), "ws.example.com", None)
        self.assertIn("bind :443 ssl crt '/etc/haproxy/certs/ws.example.com.pem'\n", text)
        self.assertIn("    maxconn 10512\n", text)
        text = make_configuration(gateway(max_connections="0"), "ws.example.com", "/a b")
        self.assertIn("bind :443 ssl crt '/a b'\n", text)
        self.assertNotIn("maxconn", text)
