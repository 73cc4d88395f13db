"""Tests for :mod:`phpgw.samples.nginx`."""

import re

from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.http.backend import IDLE_SECONDS
from phpgw.samples.nginx import make_location, make_site
from phpgw.samples.proxied_gateway import find_gateway, parse_address
from phpgw.samples.text import CannotWrite
from phpgw.samples.web_site import find_site
from tests.support.sample_settings import given


def location(address: str | None = None, **texts: str) -> str:
    server = None if address is None else parse_address(address)
    return make_location(find_gateway(given(**texts), server))


def site(**texts: str) -> str:
    settings = given(**texts)
    return make_site(find_gateway(settings), find_site(settings, "example.com", None, None))


class LocationTests(SynchronousTestCase):
    def test_one_path(self) -> None:
        """Only the WebSocket is passed on."""
        text = location(ws_path="/app/ws")
        self.assertEqual(["= /app/ws"], re.findall(r"^location (.*) \{$", text, re.MULTILINE))
        self.assertIn("    proxy_pass http://127.0.0.1:8080/app/ws;\n", text)

    def test_limits(self) -> None:
        """They follow from the gateway's own."""
        text = location(ping_interval="1m", max_connections="500")
        self.assertIn("proxy_read_timeout 195s;", text)
        self.assertIn("#     events { worker_connections 1512; }\n", text)
        text = location(ping_interval="0", max_connections="0")
        self.assertIn("sends no pings", text)
        self.assertNotIn("worker_connections", text)

    def test_tls(self) -> None:
        """A certificate is checked if the connection leaves the machine."""
        text = location(listen="ssl:8443:privateKey=/k")
        self.assertIn("proxy_pass https://127.0.0.1:8443/ws;", text)
        self.assertNotIn("proxy_ssl", text)
        text = location("gateway.example:8443", listen="ssl:8443:privateKey=/k")
        self.assertIn("proxy_ssl_verify on;\n", text)
        self.assertIn("proxy_ssl_name gateway.example;\n", text)

    def test_hostile_values(self) -> None:
        text = location(listen='/run/a "b;c}#\\')
        self.assertIn('proxy_pass "http://unix:/run/a \\"b;c}#\\\\:/ws";\n', text)
        for path in ("/run/a:b", "/run/$a", "/run/a\nb"):
            self.assertRaises(CannotWrite, location, listen=path)
        self.assertRaises(CannotWrite, location, listen="tcp:80:interface=a;b")


class SiteTests(SynchronousTestCase):
    def test_script(self) -> None:
        """The script is on the internal server alone, with time and room for each event."""
        text = site(
            php_url="http://127.0.0.1:81/a/w.php", max_message_size="3M", php_timeout="100s"
        )
        public, _, internal = text.partition("# Here phpgw posts events")
        self.assertIn("location ^~ /a/w.php {\n        return 404;", public)
        self.assertIn("listen 127.0.0.1:81;", internal)
        self.assertIn("location = /a/w.php {", internal)
        self.assertIn("client_max_body_size 10m;", internal)
        self.assertIn("fastcgi_read_timeout 110s;", internal)
        [seconds] = re.findall(r"keepalive_timeout (\d+)s;", internal)
        self.assertGreater(int(seconds), IDLE_SECONDS)

    def test_route(self) -> None:
        """Where the script is a route, the front controller gets it."""
        public, _, internal = site(php_url="http://127.0.0.1:81/ws").partition("# Here phpgw")
        self.assertEqual(1, public.count("location = /ws {"))
        self.assertNotIn("return 404", public)
        self.assertIn("location = /ws {\n        rewrite ^ /index.php break;\n", internal)
        self.assertIn("location = /a {\n        return 404;", site(php_url="http://127.0.0.1:81/a"))

    def test_no_script(self) -> None:
        """There is no internal server where the gateway posts to nobody."""
        for more in ({"php_script": "/app/w.php"}, {"php_url": "http://php.example/w.php"}):
            text = site(**more)
            self.assertNotIn("real_ip", text)
            self.assertNotIn("^~", text)

    def test_hostile_values(self) -> None:
        text = site(php_root='/srv/"a b"', php_url='http://localhost/"%20{$x};.php')
        self.assertIn('root "/srv/\\"a b\\"";\n', text)
        self.assertIn('location = "/\\" {$x};.php" {\n', text)
        for more in (
            {"php_root": "/srv/$x"},
            {"php_fpm": "/run/$x"},
            {"php_url": "http://[::1]/%0a"},
        ):
            self.assertRaises(CannotWrite, site, **more)
