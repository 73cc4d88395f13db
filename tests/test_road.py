"""Tests for :mod:`phpgw.road`."""

from pathlib import Path
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from phpgw import road
from phpgw.backend.fastcgi import FastCgiBackend
from phpgw.backend.http import HttpBackend
from phpgw.metrics import Metrics
from phpgw.road import Road, make_road
from phpgw.settings import InvalidOption, Settings


class RoadTests(SynchronousTestCase):
    def road(self, **settings: Any) -> Road:
        return make_road(Settings(**settings), MemoryReactorClock(), Metrics())

    def complaint(self, **settings: Any) -> str:
        return str(self.assertRaises(InvalidOption, self.road, **settings))

    def script(self) -> str:
        path = Path(self.mktemp()).absolute()
        path.write_text("<?php")
        return str(path)

    def test_web_server(self) -> None:
        chosen = self.road(php_url="http://localhost/ws.php")
        self.assertIsInstance(chosen.backend, HttpBackend)
        self.assertIn("http://localhost/ws.php", chosen.description)
        self.assertIsNone(chosen.service)

    def test_running_php_fpm(self) -> None:
        """The script's path is PHP-FPM's, which may be on another machine."""
        chosen = self.road(php_script="/elsewhere/ws.php", php_fpm="tcp:php:9000")
        self.assertIsInstance(chosen.backend, FastCgiBackend)
        for part in ("/elsewhere/ws.php", "tcp:php:9000"):
            self.assertIn(part, chosen.description)

    def test_endpoint_that_is_none(self) -> None:
        complaint = self.complaint(php_script="/ws.php", php_fpm="foo:bar")
        self.assertIn("--php-fpm: got 'foo:bar'; expected a Twisted client endpoint", complaint)

    def test_script_outside_its_root(self) -> None:
        complaint = self.complaint(php_script="/a/ws.php", php_root="/b", php_fpm="tcp:php:9000")
        self.assertIn("--php-root: got '/b'; expected a directory with the script in it", complaint)

    def test_no_such_script(self) -> None:
        complaint = self.complaint(php_script="/nowhere/ws.php")
        self.assertIn("--php-script: got '/nowhere/ws.php'; expected", complaint)

    def test_no_php_fpm(self) -> None:
        """The line names the package to install."""
        self.patch(road, "find_php_fpm", lambda: None)
        complaint = self.complaint(php_script=self.script())
        self.assertIn("apt-get install php-fpm", complaint)
        self.assertEqual(len(complaint.splitlines()), 1)
