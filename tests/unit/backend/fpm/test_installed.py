"""Tests for :mod:`phpgw.backend.fpm.installed`."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.fpm.installed import InstalledPool, find_pool

# As Debian installs it.
_MAIN = """
; All relative paths in this configuration file are relative to PHP's install prefix (/usr).
[global]
pid = /run/php/php8.2-fpm.pid
;process_control_timeout = 0
{}
include={}/pool.d/*.conf
"""
_POOL = """; Start a new pool named 'www'.
[www]
user = www-data
listen = {}
;listen.allowed_clients = 127.0.0.1
pm = dynamic
pm.max_children = 5 ; enough
"""


class FindPoolTests(SynchronousTestCase):
    def find(self, endpoint: str, listen: str, main: str = "") -> InstalledPool | None:
        directory = Path(self.mktemp()).absolute()
        (directory / "pool.d").mkdir(parents=True)
        (directory / "php-fpm.conf").write_text(_MAIN.format(main, directory))
        (directory / "pool.d" / "a.conf").write_text("[other]\nlisten = 1\npm.max_children = 99\n")
        (directory / "pool.d" / "www.conf").write_text(_POOL.format(listen))
        self.main_file = str(directory / "php-fpm.conf")
        return find_pool(endpoint, [str(directory / "php-*.conf")])

    def test_defaults(self) -> None:
        for endpoint, listen in (
            ("unix:/run/php/php8.2-fpm.sock", "/run/php/php8.2-fpm.sock"),
            ("unix:/nowhere/../run/php/a.sock", "/run/php/a.sock"),
            (r"unix:path=/run/a\:b.sock:timeout=3", '"/run/a:b.sock"'),
            ("unix:/run/www.sock", "/run/$pool.sock"),
            ("tcp:127.0.0.1:9000", "9000"),
            ("tcp:localhost:9000", "127.0.0.1:9000"),
            (r"tcp:\:\:1:9000", "[::]:9000"),
            ("tcp:host=127.0.0.1:port=9000", "*:9000"),
        ):
            found = self.find(endpoint, listen)
            assert found is not None, endpoint
            facts = (found.main_file, found.reload_seconds, found.workers, found.name)
            self.assertEqual((self.main_file, "0", 5, "www"), facts, endpoint)
            self.assertEqual(str(Path(self.main_file).parent / "pool.d/www.conf"), found.pool_file)

    def test_another_one(self) -> None:
        for endpoint, listen in (
            ("unix:/run/a.sock", "/run/b.sock"),
            ("unix:/run/a.sock", "9000"),
            ("tcp:php:9000", "9000"),
            ("tcp:127.0.0.1:9001", "9000"),
            ("tls:127.0.0.1:9000", "9000"),
        ):
            self.assertIsNone(self.find(endpoint, listen), endpoint)

    def test_timeout(self) -> None:
        found = self.find("tcp:127.0.0.1:9000", "9000", "process_control_timeout = 10s")
        assert found is not None
        self.assertEqual(
            (self.main_file, "10s", 5), (found.main_file, found.reload_seconds, found.workers)
        )

    def test_none(self) -> None:
        self.assertIsNone(find_pool("tcp:127.0.0.1:9000", ["/nowhere/*", "/etc"]))
        find_pool("unix:/run/php/php8.2-fpm.sock")

    def test_includes_itself(self) -> None:
        path = Path(self.mktemp()).absolute()
        path.write_text(f"include={path}\nlisten = 9000\n")
        self.assertIsNone(find_pool("tcp:127.0.0.1:9000", [str(path)]))


class HintTests(SynchronousTestCase):
    def test_what_is_said(self) -> None:
        for seconds, workers, concurrency, words in (
            ("0", 5, 5, ["process_control_timeout = 10s in /etc/fpm.conf"]),
            ("0s", None, 5, ["process_control_timeout"]),
            ("10s", 5, 5, []),
            ("10s", 4, 5, ["4 workers at most (pm.max_children), fewer than 5"]),
        ):
            hints = list(InstalledPool("/etc/fpm.conf", seconds, workers).hints(concurrency))
            self.assertEqual(len(words), len(hints))
            for word, hint in zip(words, hints, strict=True):
                self.assertIn(word, hint)
