"""Tests for :mod:`phpgw.settings.server_address`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.settings.parsers import server_endpoint
from phpgw.settings.server_address import (
    InheritedServer,
    ServerAddress,
    TcpServer,
    UnixServer,
    parse_server_address,
)

_ALL = TcpServer("", "127.0.0.1", 8080)
_HERE = TcpServer("127.0.0.1", "127.0.0.1", 8080)


class ServerAddressTests(SynchronousTestCase):
    def test_servers(self) -> None:
        for text, expected in (
            ("8080", _ALL),
            ("tcp:port=8080", _ALL),
            ("0.0.0.0:8080", _ALL),
            ("127.0.0.1:8080", _HERE),
            ("tcp:8080:127.0.0.1", _HERE),
            ("[::1]:8080", TcpServer("::1", "::1", 8080)),
            ("[::]:8080", TcpServer("", "::1", 8080)),
            ("tcp6:8080", TcpServer("", "::1", 8080)),
            ("/run/a:b.sock", UnixServer("/run/a:b.sock")),
            ("unix:address=/run/phpgw.sock:mode=660", UnixServer("/run/phpgw.sock", "660")),
            ("systemd:domain=INET:index=0", InheritedServer()),
        ):
            address = parse_server_address(server_endpoint(text))
            self.assertEqual(ServerAddress(expected), address, text)
            assert address is not None
            self.assertFalse(address.uses_tls)

    def test_before_http(self) -> None:
        """TLS and the PROXY protocol can be spoken on any of them."""
        files = "privateKey=/k\\:1:certKey=/c"
        for text, expected in (
            ("haproxy:tcp:8080", ServerAddress(_ALL, True)),
            (f"ssl:8080:{files}", ServerAddress(_ALL, False, "/k:1", "/c")),
            (f"ssl:port=8080:{files}", ServerAddress(_ALL, False, "/k:1", "/c")),
            ("ssl:8080:privateKey=/k", ServerAddress(_ALL, False, "/k", "/k")),
            (f"ssl:8080:{files}:extraCertChain=/x", ServerAddress(_ALL, False, "/k:1", "/c", "/x")),
            (
                f"ssl:haproxy:tcp:8080:interface=127.0.0.1:{files}",
                ServerAddress(_HERE, True, "/k:1", "/c"),
            ),
            (
                f"ssl:systemd:domain=INET:index=0:{files}",
                ServerAddress(InheritedServer(), False, "/k:1", "/c"),
            ),
        ):
            self.assertEqual(expected, parse_server_address(text), text)

    def test_unknown(self) -> None:
        for text in ("tcp:x", "tcp:", "tcp:٨٠", "unix:mode=660", "fd:3", "haproxy:", "ssl:8080"):
            self.assertIsNone(parse_server_address(text), text)
