"""Tests for :mod:`phpgw.samples.web_site`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.samples.text import CannotWrite
from phpgw.samples.web_site import WebSite, find_site, parse_name
from phpgw.settings.server_address import TcpServer, UnixServer
from tests.support.sample_settings import given


def site(**texts: str) -> WebSite:
    return find_site(given(**texts), "example.com", None, None)


class SiteTests(SynchronousTestCase):
    def test_defaults(self) -> None:
        found = site()
        self.assertEqual("/var/www/html", found.root)
        self.assertEqual("/etc/letsencrypt/live/example.com/fullchain.pem", found.certificate_path)
        self.assertEqual("/etc/letsencrypt/live/example.com/privkey.pem", found.key_path)
        self.assertEqual(UnixServer("/run/php/php-fpm.sock"), found.php_fpm)

    def test_files(self) -> None:
        found = find_site(given(php_root="/srv"), "example.com", "/c", "/k")
        self.assertEqual(("/srv", "/c", "/k"), (found.root, found.certificate_path, found.key_path))

    def test_php_fpm(self) -> None:
        for text, expected in (
            ("/run/a b.sock", UnixServer("/run/a b.sock")),
            ("unix:path=/run/x", UnixServer("/run/x")),
            ("php:9000", TcpServer("php", "php", 9000)),
            ("[::1]:9000", TcpServer("::1", "::1", 9000)),
            ("tcp:host=php:port=9000", TcpServer("php", "php", 9000)),
        ):
            self.assertEqual(expected, site(php_fpm=text).php_fpm, text)
        for text in ("tls:php:9000", "tcp:php", "unix:timeout=3"):
            self.assertRaises(CannotWrite, site, php_fpm=text)

    def test_name(self) -> None:
        self.assertEqual("www.example.com", parse_name("WWW.example.com"))
        for text in ("", "a b", "a;b", "a\n", ".a", "a..b", "x" * 64, "a/b", "ü.de", "{a}"):
            self.assertRaises(ValueError, parse_name, text)


class ScriptTests(SynchronousTestCase):
    def script(self, **texts: str) -> tuple[str, int | None] | None:
        script = site(**texts).script
        return None if script is None else (script.path, script.port)

    def test_internal_port(self) -> None:
        """A port of loopback that is not the site's own is for the gateway alone."""
        found = site(php_url="http://127.0.0.1:81/a%20b.php?x=1")
        assert found.script is not None
        self.assertEqual(("/a b.php", 81), (found.script.path, found.script.port))
        self.assertEqual((), found.missing)

    def test_public_port(self) -> None:
        """Where everybody could post to the script, it gets a port of its own."""
        for url in ("http://localhost/w.php", "https://example.com/w.php", "http://[::1]:80/w.php"):
            found = site(php_url=url)
            assert found.script is not None
            self.assertEqual(("/w.php", 8088), (found.script.path, found.script.port))
            [each] = found.missing
            self.assertEqual('php-url = "http://127.0.0.1:8088/w.php"', each.line)
        self.assertEqual(("/websocket.php", 8088), self.script())

    def test_elsewhere(self) -> None:
        self.assertIsNone(self.script(php_url="http://php.example/w.php"))

    def test_fastcgi(self) -> None:
        """The script is hidden if the site could show it."""
        self.assertEqual(
            ("/a/w.php", None), self.script(php_script="/srv/a/w.php", php_root="/srv")
        )
        self.assertIsNone(self.script(php_script="/app/w.php", php_root="/srv"))

    def test_front_controller(self) -> None:
        """It replies to browsers, too. Behind it, the script is a route."""
        self.assertIsNone(self.script(php_script="/srv/a/index.php", php_root="/srv"))
        for path, is_route in (("/ws", True), ("/w.php", False)):
            script = site(php_url=f"http://127.0.0.1:81{path}").script
            assert script is not None
            self.assertEqual(is_route, script.is_route)

    def test_limits(self) -> None:
        """They are beyond the gateway's own."""
        script = site(max_message_size="2M", php_timeout="90s").script
        assert script is not None
        self.assertEqual((7, 100), (script.body_megabytes, script.timeout))
