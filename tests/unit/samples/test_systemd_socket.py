"""Tests for :mod:`phpgw.samples.systemd_socket`."""

from typing import Any

from phpgw.process.tls import split_tls_endpoint
from phpgw.samples.proxied_gateway import parse_address
from phpgw.samples.service import find_service
from phpgw.samples.systemd_socket import SocketUnit, make_socket
from phpgw.samples.text import CannotWrite
from tests.support.sample_settings import given
from tests.unit.samples.test_service import ServiceTestCase
from tests.unit.samples.test_systemd import values

_SYSTEMD = "systemd:domain=INET:index=0"


class SocketTests(ServiceTestCase):
    def unit(self, address: str | None = None, **texts: Any) -> SocketUnit:
        server = None if address is None else parse_address(address)
        return make_socket(find_service(given(**texts), {}, "/phpgw"), server)

    def line(self, **texts: Any) -> str:
        [each] = self.unit(**texts).missing
        return each.line

    def test_default(self) -> None:
        unit = self.unit()
        self.assertEqual(["0.0.0.0:8080"], values(unit.text, "ListenStream"))
        self.assertIn(f'#     listen = "{_SYSTEMD}"\n', unit.text)

    def test_streams(self) -> None:
        """The sockets are those that the gateway would open itself."""
        for listen, stream, domain in (
            ("127.0.0.1:81", "127.0.0.1:81", "INET"),
            ("[::1]:81", "[::1]:81", "INET6"),
            ("[::]:81", "[::]:81", "INET6"),
            ("/run/100% a.sock", "/run/100%% a.sock", "UNIX"),
        ):
            unit = self.unit(listen=listen)
            self.assertEqual([stream], values(unit.text, "ListenStream"))
            self.assertEqual(f'listen = "systemd:domain={domain}:index=0"', unit.missing[0].line)
        self.assertIn("BindIPv6Only=ipv6-only\n", self.unit(listen="[::]:81").text)

    def test_mode(self) -> None:
        """A UNIX socket keeps its mode; a unit has one for all."""
        text = self.unit(listen="unix:/run/a:mode=660").text
        self.assertEqual(["0660"], values(text, "SocketMode"))
        self.assertRaises(CannotWrite, self.unit, listen=["unix:/a:mode=660", "/b"])

    def test_before_http(self) -> None:
        """TLS and the PROXY protocol stay."""
        files = "privateKey=/a\\:k:certKey=/c:extraCertChain=/x"
        for listen, expected in (
            ("haproxy:tcp:81", f"haproxy:{_SYSTEMD}"),
            (f"ssl:443:{files}", f"ssl:{_SYSTEMD}:{files}"),
            (f"ssl:haproxy:tcp:443:{files}", f"ssl:haproxy:{_SYSTEMD}:{files}"),
        ):
            text = expected.replace("\\", "\\\\")
            self.assertEqual(f'listen = "{text}"', self.line(listen=listen))
            self.assertEqual(split_tls_endpoint(listen)[1], split_tls_endpoint(expected)[1])

    def test_several(self) -> None:
        line = self.line(listen=["81", "/run/a"])
        self.assertEqual(f'listen = ["{_SYSTEMD}", "systemd:domain=UNIX:index=1"]', line)

    def test_inherited(self) -> None:
        """The address of a socket that systemd opens is the usual one, unless it is named."""
        unit = self.unit(listen=_SYSTEMD)
        self.assertEqual((["127.0.0.1:8080"], ()), (
            values(unit.text, "ListenStream"), unit.missing
        ))  # fmt: skip
        unit = self.unit("0.0.0.0:443", listen=_SYSTEMD)
        self.assertEqual(["0.0.0.0:443"], values(unit.text, "ListenStream"))

    def test_hostile_values(self) -> None:
        self.assertRaises(CannotWrite, self.unit, listen="/run/a\nExecStartPre=/bin/x")
        self.assertRaises(CannotWrite, self.unit, listen="tcp:81:interface=a b")
