"""Tests for :mod:`phpgw.backend.fpm`, with a real PHP-FPM."""

import os
import signal
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase, TestCase

from phpgw.backend import BackendBroken, Event, Follow, Reply
from phpgw.backend.fastcgi import make_fastcgi_backend
from phpgw.backend.fpm import FpmUnusable, ManagedFpm, find_php_fpm
from phpgw.metrics import Metrics
from tests.fakes import identity
from tests.follower import Follower
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
            "message_size": 4_000_000,
        }
        return ManagedFpm(reactor, **{**settings, **changes})

    def start(self, **changes: Any) -> ManagedFpm:
        fpm = self.make(**changes)
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

    async def ask(
        self,
        source: str,
        follow: Follow | None = None,
        message: bytes = b"hi",
        **changes: Any,
    ) -> Reply:
        """Have it run this script, with the gateway's own way of asking."""
        script = Path(f"{self.mktemp()}.php").absolute()
        script.write_text(source)
        if os.geteuid() == 0:
            # The test's directory is nobody else's.
            changes["user"] = "root"
        fpm = self.fpm = self.start(**changes)
        await fpm.when_ready()
        backend = make_fastcgi_backend(
            reactor,
            endpoint=f"unix:{fpm.socket}",
            script=str(script),
            timeout=20,
            queue_timeout=20,
            concurrency=1,
            max_reply_size=1000,
            signer=None,
            metrics=Metrics(),
        )
        self.addCleanup(backend.close)
        return await backend.ask(Event("server", message, identity()), follow)

    async def test_largest_message(self) -> None:
        """PHP takes a form of that size, too, in which each byte may have become three."""
        reply = await self.ask("<?php echo strlen($_POST['message']);", message=bytes(4_000_000))
        self.assertEqual(b"4000000", reply.body)

    async def test_flush(self) -> None:
        """What PHP flushes is there at once, whatever its php.ini says of buffers."""
        signal_file = Path(self.mktemp()).absolute()
        follower = Follower()
        follower.at_piece = signal_file.touch
        reply = await self.ask(
            "<?php header('Content-Type: application/x-ndjson');"
            'echo "one\\n"; flush();'
            f"while (!file_exists('{signal_file}')) {{ usleep(1000); clearstatcache(); }}"
            'echo "two\\n";',
            follower,
        )
        self.assertEqual([b"one\n", b"two\n"], follower.pieces)
        self.assertEqual((b"application/x-ndjson", b""), (reply.head.media_type, reply.body))

    async def test_without_flush(self) -> None:
        """An ordinary reply comes in one, so that nobody has to follow it."""
        follower = Follower()
        reply = await self.ask("<?php echo 'one'; echo 'two';", follower)
        self.assertEqual(([], b"onetwo"), (follower.heads, reply.body))

    async def test_what_a_script_logs_is_logged_once(self) -> None:
        with capturedLogs() as events:
            await self.ask("<?php error_log('something to say');")
            await self.fpm.stopService()
        said = [text for text in map(str, map(formatEvent, events)) if "something to say" in text]
        self.assertEqual(len(said), 1, said)
        self.assertIn("PHP on a server event", said[0])

    async def test_script_that_runs_for_too_long(self) -> None:
        with self.assertRaises(BackendBroken):
            await self.ask("<?php sleep(60);", script_seconds=0.5)

    def test_configuration_it_does_not_like(self) -> None:
        fpm = self.make(workers=0)
        self.addCleanup(fpm.stopService)
        error = self.assertRaises(FpmUnusable, fpm.check)
        self.assertIn("max_children", str(error))

    def test_program_that_is_none(self) -> None:
        fpm = self.make(binary=Path("/etc/hostname"))
        self.addCleanup(fpm.stopService)
        self.assertRaises(FpmUnusable, fpm.check)
