"""Tests for :mod:`phpgw.checks.addresses`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.checks.addresses import (
    HostPort,
    UnixPath,
    client_address,
    url_address,
)


class AddressTests(SynchronousTestCase):
    def test_clients(self) -> None:
        for endpoint, address in (
            (r"unix:/run/a\:b.sock", UnixPath("/run/a:b.sock")),
            ("unix:path=/run/a.sock:timeout=3", UnixPath("/run/a.sock")),
            ("tcp:php:9000", HostPort("php", 9000)),
            (r"tcp:\:\:1:9000", HostPort("::1", 9000)),
            ("tcp:host=a:port=9", HostPort("a", 9)),
            ("tls:a:9000", None),
        ):
            self.assertEqual(address, client_address(endpoint), endpoint)

    def test_urls(self) -> None:
        self.assertEqual(HostPort("a", 80), url_address("http://a/b.php"))
        self.assertEqual(HostPort("::1", 443), url_address("https://[::1]/b.php"))

    def test_text(self) -> None:
        self.assertEqual("[::1]:9", str(HostPort("::1", 9)))
        self.assertEqual("a:9", str(HostPort("a", 9)))
