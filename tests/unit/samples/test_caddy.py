"""Tests for :mod:`phpgw.samples.caddy`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.samples.caddy import make_part, make_site
from phpgw.samples.proxied_gateway import find_gateway, parse_address
from phpgw.samples.text import CannotWrite
from phpgw.samples.web_site import find_site
from tests.support.sample_settings import given


def part(address: str | None = None, **texts: str) -> str:
    server = None if address is None else parse_address(address)
    return make_part(find_gateway(given(**texts), server))


def site(certificate: str | None = None, **texts: str) -> str:
    settings = given(**texts)
    return make_site(find_gateway(settings), find_site(settings, "example.com", certificate, None))


class PartTests(SynchronousTestCase):
    def test_one_path(self) -> None:
        """Only the WebSocket is passed on."""
        text = part(ws_path="/app/ws")
        self.assertIn("handle /app/ws {\n\treverse_proxy 127.0.0.1:8080 {\n", text)
        self.assertEqual(1, text.count("reverse_proxy"))

    def test_tls(self) -> None:
        """A certificate is checked if the connection leaves the machine."""
        text = part(listen="ssl:8443:privateKey=/k")
        self.assertIn("tls_insecure_skip_verify\n", text)
        text = part("gateway.example:8443", listen="ssl:8443:privateKey=/k")
        self.assertIn("tls_server_name gateway.example\n", text)
        self.assertNotIn("insecure", text)

    def test_hostile_values(self) -> None:
        self.assertIn("reverse_proxy `unix//run/a \"b'#$\\` {\n", part(listen="/run/a \"b'#$\\"))
        for path in ("/run/{a}", "/run/`a", "/run/a|b", "/run/a\nb"):
            self.assertRaises(CannotWrite, part, listen=path)


class SiteTests(SynchronousTestCase):
    def test_certificate(self) -> None:
        """Caddy gets one by itself, unless one is named."""
        self.assertNotIn("tls", site())
        self.assertIn("\ttls /c /etc/letsencrypt/live/example.com/privkey.pem\n", site("/c"))

    def test_script(self) -> None:
        """The script is on the internal site alone."""
        public, _, internal = site(php_url="http://127.0.0.1:81/w.php").partition("# Here phpgw")
        self.assertIn("handle /w.php* {\n\t\trespond 404", public)
        self.assertIn("http://:81 {\n", internal)
        self.assertIn("bind 127.0.0.1\n", internal)
        self.assertIn("handle /w.php {\n", internal)
        self.assertNotIn("bind", site(php_script="/app/w.php"))

    def test_route(self) -> None:
        """Where the script is a route, only this route is closed, unless it is the WebSocket."""
        public, _, internal = site(php_url="http://127.0.0.1:81/a").partition("# Here phpgw")
        self.assertIn("handle /a {\n\t\trespond 404", public)
        self.assertIn("/a", internal)
        public, _, _ = site(php_url="http://127.0.0.1:81/ws").partition("# Here phpgw")
        self.assertNotIn("Whoever", public)
