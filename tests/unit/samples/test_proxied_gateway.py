"""Tests for :mod:`phpgw.samples.proxied_gateway`."""

import tomllib

from twisted.trial.unittest import SynchronousTestCase

from phpgw.samples.proxied_gateway import (
    ProxiedGateway,
    explain_missing,
    find_gateway,
    parse_address,
)
from phpgw.samples.text import CannotWrite
from phpgw.settings.option import InvalidOption
from phpgw.settings.server_address import TcpServer, UnixServer
from tests.support.sample_settings import given

_BEHIND = {"trusted_proxy": "127.0.0.1", "api_listen": "127.0.0.1:8081"}


def missing(gateway: ProxiedGateway) -> list[str]:
    return [each.line for each in gateway.missing]


class GatewayTests(SynchronousTestCase):
    def test_defaults(self) -> None:
        """Without any configuration, it is the gateway that phpgw serve starts."""
        gateway = find_gateway({})
        self.assertEqual(TcpServer("", "127.0.0.1", 8080), gateway.server)
        self.assertEqual(("/ws", 90, 10000), (
            gateway.ws_path, gateway.quiet_seconds, gateway.max_connections
        ))  # fmt: skip
        self.assertFalse(gateway.uses_tls or gateway.uses_proxy_protocol)

    def test_settings(self) -> None:
        """Settings that do not matter need not be valid."""
        gateway = find_gateway(
            given(listen="/run/x.sock", ws_path="/a", ping_interval="1m", php_timeout="?")
        )
        self.assertEqual(UnixServer("/run/x.sock"), gateway.server)
        self.assertEqual(("/a", 195), (gateway.ws_path, gateway.quiet_seconds))
        error = self.assertRaises(InvalidOption, find_gateway, given(ws_path="x"))
        self.assertEqual("ws-path", error.name)

    def test_quiet(self) -> None:
        """Without pings, good connections may be quiet for long."""
        self.assertEqual(16, find_gateway(given(ping_interval="300ms")).quiet_seconds)
        gateway = find_gateway(given(ping_interval="0"))
        self.assertEqual((86400, False), (gateway.quiet_seconds, gateway.is_pinged))

    def test_choice(self) -> None:
        """Of several endpoints it is the one that the proxy can use."""
        systemd, proxied, plain = "systemd:domain=INET:index=0", "haproxy:tcp:81", "82"
        gateway = find_gateway(given(listen=[systemd, proxied, plain]))
        self.assertEqual(TcpServer("", "127.0.0.1", 82), gateway.server)
        error = self.assertRaises(CannotWrite, find_gateway, given(listen=[proxied]))
        self.assertIn("add an endpoint", str(error))
        gateway = find_gateway(given(listen=[proxied]), speaks_proxy_protocol=True)
        self.assertTrue(gateway.uses_proxy_protocol)
        self.assertRaises(CannotWrite, find_gateway, given(listen="fd:3"))

    def test_inherited(self) -> None:
        """The port of a socket of systemd is the usual one, unless it is named."""
        settings = given(listen="systemd:domain=INET:index=0")
        self.assertEqual(TcpServer("127.0.0.1", "127.0.0.1", 8080), find_gateway(settings).server)
        named = parse_address("10.0.0.1:81")
        self.assertEqual(named, find_gateway(settings, named).server)

    def test_address(self) -> None:
        for text, expected in (
            ("php:80", TcpServer("php", "php", 80)),
            ("[::1]:80", TcpServer("::1", "::1", 80)),
            ("unix:/a b", UnixServer("/a b")),
            ("/a", UnixServer("/a")),
        ):
            self.assertEqual(expected, parse_address(text))
        for text in ("", "80", "a", "a:0", "a:65536", "a b:80", "unix:a", "-a:80", "a:٨"):
            self.assertRaises(ValueError, parse_address, text)


class MissingTests(SynchronousTestCase):
    def test_nothing(self) -> None:
        self.assertEqual([], missing(find_gateway(given(**_BEHIND))))
        self.assertEqual([], explain_missing(()))

    def test_all(self) -> None:
        gateway = find_gateway({})
        trust, api = 'trusted-proxy = "127.0.0.1"', 'api-listen = "127.0.0.1:8081"'
        self.assertEqual([trust, api], missing(gateway))
        lines = explain_missing(gateway.missing)
        self.assertIn(f"#     {trust}", lines)
        for line in lines:
            self.assertTrue(line.startswith("#"))

    def test_trust(self) -> None:
        """The address from which the proxy connects is added to those that are there."""
        for listen, trusted, expected in (
            ("/run/x.sock", [], '"unix"'),
            ("[::1]:80", ["10.0.0.0/8"], '["10.0.0.0/8", "::1"]'),
            ("10.0.0.5:80", ["10.0.0.1"], '["10.0.0.1", "10.0.0.5"]'),
            ("10.0.0.5:80", ["10.0.0.0/8"], None),
            ("80", ["127.0.0.0/8"], None),
        ):
            settings = given(listen=listen, trusted_proxy=trusted, api_listen="1")
            line = None if expected is None else f"trusted-proxy = {expected}"
            self.assertEqual([line] if line else [], missing(find_gateway(settings)), listen)

    def test_proxy_elsewhere(self) -> None:
        """The address of a proxy on another machine is not known here."""
        address = parse_address("phpgw:8080")
        settings = given(api_listen="1")
        [each] = find_gateway(settings, address).missing
        self.assertEqual('trusted-proxy = "PROXY"', each.line)
        settings = given(api_listen="1", trusted_proxy="10.0.0.0/8")
        self.assertEqual([], missing(find_gateway(settings, address)))

    def test_proxy_protocol(self) -> None:
        """It needs no trust."""
        settings = given(listen="haproxy:tcp:80", api_listen="1")
        self.assertEqual([], missing(find_gateway(settings, speaks_proxy_protocol=True)))

    def test_headers(self) -> None:
        """The headers that samples set have to count."""
        line = 'proxy-headers = "x-forwarded-for,x-forwarded-proto,x-forwarded-host'
        for names, expected in (
            ("x-forwarded-for", [f'{line}"']),
            ("forwarded", [f'{line},forwarded"']),
            ("x-forwarded-for,x-forwarded-proto,x-forwarded-host", []),
        ):
            settings = given(**_BEHIND, proxy_headers=names)
            self.assertEqual(expected, missing(find_gateway(settings)))

    def test_api(self) -> None:
        """Nothing is missing where PHP can push through the port of the browsers."""
        trust = {"trusted_proxy": "127.0.0.1"}
        for more in ({"api_token_file": "/x"}, {"api_trust_local": "on"}):
            self.assertEqual([], missing(find_gateway(given(**trust, **more))))
        self.assertEqual(
            ['api-listen = "127.0.0.1:8082"'], missing(find_gateway(given(**trust, listen="8081")))
        )

    def test_toml(self) -> None:
        """The lines are TOML."""
        settings = given(trusted_proxy=["10.0.0.0/8", "::2"], proxy_headers="none", listen="/x")
        lines = missing(find_gateway(settings))
        table = tomllib.loads("\n".join(lines))
        self.assertEqual(["10.0.0.0/8", "::2", "unix"], table["trusted-proxy"])
        self.assertEqual(3, len(table))
