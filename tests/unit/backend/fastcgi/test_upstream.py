"""Tests for :mod:`phpgw.backend.fastcgi.upstream`."""

from phpgw.backend.fastcgi import upstream as fastcgi_upstream
from phpgw.backend.fastcgi.backend import FastCgiBackend
from phpgw.backend.fpm.installed import InstalledPool
from tests.support.upstream_test_case import UpstreamTestCase


class FastCgiUpstreamTests(UpstreamTestCase):
    def test_running_php_fpm(self) -> None:
        """The script's path is PHP-FPM's, which may be on another machine."""
        chosen = self.upstream(php_script="/elsewhere/ws.php", php_fpm="tcp:php:9000")
        self.assertIsInstance(chosen.backend, FastCgiBackend)
        for part in ("/elsewhere/ws.php", "tcp:php:9000"):
            self.assertIn(part, chosen.description)

    def test_hints(self) -> None:
        """What is wrong with a PHP-FPM whose configuration can be read."""
        pool = InstalledPool("/etc/php-fpm.conf", "0", 3)
        self.patch(fastcgi_upstream, "find_pool", {"tcp:127.0.0.1:9000": pool}.get)
        hints = self.upstream(php_script="/ws.php", php_fpm="tcp:127.0.0.1:9000").hints
        self.assertEqual(2, len(hints))
        self.assertEqual((), self.upstream(php_script="/ws.php", php_fpm="tcp:php:9000").hints)

    def test_script_that_is_not_there(self) -> None:
        """Where PHP-FPM is on this machine, that is worth a line."""
        for script, endpoint, count in (
            ("/nowhere/ws.php", "unix:/nowhere/fpm.sock", 1),
            (self.script(), "unix:/nowhere/fpm.sock", 0),
            ("/nowhere/ws.php", "tcp:php:9000", 0),
        ):
            hints = self.upstream(php_script=script, php_fpm=endpoint).hints
            self.assertEqual(count, len([hint for hint in hints if script in hint]))

    def test_path_that_no_socket_can_have(self) -> None:
        for path in ("/" + "x" * 107, "/" + "é" * 54, "/\\:" + "x" * 106):
            complaint = self.complaint(php_script="/ws.php", php_fpm=f"unix:{path}")
            self.assertIn("expected a socket with a path of 107 bytes at most", complaint)
        self.upstream(php_script="/ws.php", php_fpm="unix:/\\:" + "x" * 105)

    def test_endpoint_that_is_none(self) -> None:
        complaint = self.complaint(php_script="/ws.php", php_fpm="foo:bar")
        self.assertIn("--php-fpm: got 'foo:bar'; expected a Twisted client endpoint", complaint)

    def test_script_outside_its_root(self) -> None:
        complaint = self.complaint(php_script="/a/ws.php", php_root="/b", php_fpm="tcp:php:9000")
        self.assertIn("--php-root: got '/b'; expected a directory with the script in it", complaint)
