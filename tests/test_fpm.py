"""Tests for :mod:`phpgw.backend.fpm`, with a real PHP-FPM."""

import os
import signal
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from phpgw.backend.fpm import FpmUnusable, ManagedFpm, find_php_fpm
from tests.real.process import MissingProgram
from tests.real.process_table import descendants, group_members, still_running


class FindTests(SynchronousTestCase):
    def programs(self, *names: str) -> str:
        directory = Path(self.mktemp())
        directory.mkdir()
        for name in names:
            (directory / name).touch(0o755)
        return str(directory)

    def found(self, *names: str) -> str:
        found = find_php_fpm(self.programs(*names))
        assert found is not None
        return found.name

    def test_newest(self) -> None:
        self.assertEqual(self.found("php-fpm97.9", "php-fpm97.10", "php-fpm8.2"), "php-fpm97.10")

    def test_plain_name_first(self) -> None:
        self.assertEqual(self.found("php-fpm97.9", "php-fpm"), "php-fpm")

    def test_other_files_are_not_it(self) -> None:
        self.assertEqual(
            self.found("php-fpm97.9.conf", "php-fpm-helper", "php-fpm96.1"), "php-fpm96.1"
        )

    def test_places_that_cannot_be_looked_into(self) -> None:
        """A PATH may name directories of somebody else, or none at all."""
        file = Path(self.mktemp())
        file.touch()
        programs = self.programs("php-fpm97.1")
        found = find_php_fpm(os.pathsep.join([str(file), "/no/such/place", programs]))
        assert found is not None
        self.assertEqual(found.name, "php-fpm97.1")


class ManagedFpmTests(TestCase):
    timeout = 30

    def make(self, **changes: Any) -> ManagedFpm:
        binary = find_php_fpm()
        if binary is None:
            raise MissingProgram("php-fpm not found: apt-get install php-fpm")
        settings: dict[str, Any] = {
            "binary": binary,
            "workers": 2,
            "user": None,
            "script_seconds": 10,
        }
        return ManagedFpm(reactor, **{**settings, **changes})

    def start(self) -> ManagedFpm:
        fpm = self.make()
        fpm.check()
        fpm.startService()
        self.addCleanup(fpm.stopService)
        return fpm

    async def test_starts_and_stops(self) -> None:
        fpm = self.start()
        await fpm.when_ready()
        self.assertTrue(fpm.socket.is_socket())
        self.assertEqual(fpm.socket.stat().st_mode & 0o777, 0o600)
        assert fpm.pid is not None
        while len(workers := descendants(fpm.pid)) < 2:
            await deferLater(reactor, 0.01)
        await fpm.stopService()
        self.assertFalse(fpm.socket.parent.exists())
        self.assertEqual(still_running(workers), set())

    async def test_starts_again_when_killed(self) -> None:
        """At once, on the same socket, and without the old one's workers."""
        fpm = self.start()
        await fpm.when_ready()
        assert fpm.pid is not None
        before = fpm.pid
        os.kill(before, signal.SIGKILL)
        while fpm.pid in (before, None):
            await deferLater(reactor, 0.01)
        await fpm.when_ready()
        self.assertTrue(fpm.socket.is_socket())
        while group_members(before):
            await deferLater(reactor, 0.01)

    def test_configuration_it_does_not_like(self) -> None:
        fpm = self.make(workers=0)
        self.addCleanup(fpm.stopService)
        error = self.assertRaises(FpmUnusable, fpm.check)
        self.assertIn("max_children", str(error))

    def test_program_that_is_none(self) -> None:
        fpm = self.make(binary=Path("/etc/hostname"))
        self.addCleanup(fpm.stopService)
        self.assertRaises(FpmUnusable, fpm.check)
