"""Tests for :mod:`phpgw.settings.dev_mode`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.settings import Settings
from phpgw.settings.dev_mode import dev_warnings
from phpgw.settings.parsers import server_endpoint


class DevWarningTests(SynchronousTestCase):
    def warnings(self, *listen: str, dev: bool = True) -> tuple[str, ...]:
        endpoints = tuple(server_endpoint(each) for each in listen)
        return dev_warnings(Settings(php_url="http://localhost/", dev=dev, listen=endpoints))

    def test_production(self) -> None:
        self.assertEqual((), self.warnings("8080", dev=False))

    def test_this_machine(self) -> None:
        """The mode is named, and nothing else is wrong."""
        local = ("127.0.0.1:8080", "[::1]:8080", "/run/x.sock", "haproxy:tcp:1:interface=127.0.0.1")
        [warning] = self.warnings(*local)
        self.assertIn("development mode (--dev), which is not for visitors", warning)

    def test_public(self) -> None:
        """Each port that other machines can reach, or may, is named."""
        for listen in ("8080", "192.0.2.1:80", "haproxy:tcp:1", "systemd:domain=INET:index=0"):
            _, warning = self.warnings("127.0.0.1:81", listen)
            self.assertIn(f"{server_endpoint(listen)} may be open to other machines", warning)
