"""Tests for :mod:`phpgw.samples.apache`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.samples.apache import make_part, make_site
from phpgw.samples.proxied_gateway import find_gateway, parse_address
from phpgw.samples.text import CannotWrite
from phpgw.samples.web_site import find_site
from tests.support.sample_settings import given


def part(address: str | None = None, **texts: str) -> str:
    server = None if address is None else parse_address(address)
    return make_part(find_gateway(given(**texts), server))


def site(**texts: str) -> str:
    settings = given(**texts)
    return make_site(find_gateway(settings), find_site(settings, "example.com", None, None))


class PartTests(SynchronousTestCase):
    def test_one_path(self) -> None:
        """Only the WebSocket is passed on, for as long as the gateway's pings allow."""
        text = part(ws_path="/a.b", ping_interval="1m")
        expected = 'ProxyPassMatch "^/a\\.b$" http://127.0.0.1:8080 upgrade=websocket timeout=195\n'
        self.assertIn(expected, text)
        self.assertEqual(1, text.count("ProxyPass"))
        self.assertIn("sends no pings", part(ping_interval="0").replace("\n#", ""))

    def test_limits(self) -> None:
        self.assertIn("accepts 500 clients", part(max_connections="500").replace("\n#", ""))
        self.assertNotIn("max-connections", part(max_connections="0"))

    def test_tls(self) -> None:
        """A certificate is checked if the connection leaves the machine."""
        self.assertIn("SSLProxyVerify none\n", part(listen="ssl:8443:privateKey=/k"))
        text = part("gateway.example:8443", listen="ssl:8443:privateKey=/k")
        self.assertIn("SSLProxyVerify require\n", text)
        self.assertIn("https://gateway.example:8443", text)

    def test_hostile_values(self) -> None:
        self.assertIn('"unix:/run/a \\"b;\\\\|http://localhost"', part(listen='/run/a "b;\\'))
        for path in ("/run/a|b", "/run/${a}", "/run/a#", "/run/%a", "/run/a\nb"):
            self.assertRaises(CannotWrite, part, listen=path)


class SiteTests(SynchronousTestCase):
    def test_script(self) -> None:
        """The script is on the internal virtual host alone, with time for each event."""
        text = site(php_url="http://127.0.0.1:81/w.php", php_timeout="30s", php_fpm="php:9000")
        public, _, internal = text.partition("# Here phpgw")
        self.assertIn('<Location "/w.php">\n        Require all denied', public)
        self.assertIn("\nListen 127.0.0.1:81\n", internal)
        self.assertIn('<Location "/w.php">\n        Require all granted', internal)
        self.assertIn("ProxyTimeout 40\n", internal)
        self.assertIn('SetHandler "proxy:fcgi://php:9000"\n', internal)
        self.assertNotIn("Listen", site(php_script="/app/w.php"))

    def test_route(self) -> None:
        """Where the script is a route, only this route is closed, unless it is the WebSocket."""
        public, _, internal = site(php_url="http://127.0.0.1:81/a").partition("# Here phpgw")
        self.assertIn('<Location "/a">', public)
        self.assertIn("/a", internal)
        public, _, _ = site(php_url="http://127.0.0.1:81/ws").partition("# Here phpgw")
        self.assertNotIn("Whoever", public)
