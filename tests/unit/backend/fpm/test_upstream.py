"""Tests for :mod:`phpgw.backend.fpm.upstream`."""

import errno
from pathlib import Path
from typing import NoReturn

import attrs

from phpgw.backend.fastcgi import upstream as fastcgi_upstream
from phpgw.backend.fpm import upstream as own_upstream
from phpgw.backend.selection import make_upstream
from phpgw.metrics import Metrics
from tests.support.upstream_test_case import UpstreamTestCase
from tests.unit.backend.fpm.test_backend import FPMS, OwnFpmTestCase


def not_permitted(*arguments: object, **named: object) -> NoReturn:
    raise PermissionError(errno.EACCES, "not permitted")


class OwnFpmUpstreamTests(UpstreamTestCase):
    def test_no_such_script(self) -> None:
        complaint = self.complaint(php_script="/nowhere/ws.php")
        self.assertIn("--php-script: got '/nowhere/ws.php'; expected", complaint)
        script = f"/{'x' * 300}.php"
        self.assertIn("File name too long", self.complaint(php_script=script))
        chosen = self.upstream(php_script=script, php_fpm="unix:/nowhere/fpm.sock")
        self.assertIn(script, chosen.hints[0])

    def test_script_that_only_php_may_see(self) -> None:
        """PHP-FPM runs as somebody else; a PHP-FPM of our own does not."""
        self.patch(fastcgi_upstream, "find_pool", lambda _: None)
        self.patch(Path, "stat", not_permitted)
        chosen = self.upstream(php_script="/home/site/ws.php", php_fpm="unix:/nowhere/fpm.sock")
        self.assertEqual((), chosen.hints)
        complaint = self.complaint(php_script="/home/site/ws.php")
        self.assertIn("--php-script: got '/home/site/ws.php'; expected", complaint)
        self.assertIn("not permitted", complaint)

    def test_no_php_fpm(self) -> None:
        """The line names the package to install."""
        self.patch(own_upstream, "find_php_fpm", lambda: None)
        complaint = self.complaint(php_script=self.script())
        self.assertIn("apt-get install php-fpm", complaint)
        self.assertEqual(len(complaint.splitlines()), 1)


class WorkersTests(OwnFpmTestCase):
    def test_how_long_a_script_may_run(self) -> None:
        self.assertEqual(90, FPMS[0].config.script_seconds)

    def test_as_many_at_once_as_there_are_workers(self) -> None:
        """More would wait where nobody sees it."""
        for given, concurrency in ((None, 3), (2, 2), (16, 3)):
            settings = attrs.evolve(self.settings, php_workers=3, php_concurrency=given)
            self.assertEqual(
                concurrency, make_upstream(settings, self.reactor, Metrics()).concurrency
            )
