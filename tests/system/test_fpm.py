"""Tests for :mod:`phpgw.backend.fpm.manager`, with a real PHP-FPM."""

import json
import os
import signal
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import TestCase

from phpgw.backend.errors import BackendBroken
from phpgw.backend.event import Event
from phpgw.backend.fastcgi.backend import make_fastcgi_backend
from phpgw.backend.fpm.config import FpmConfig, find_php_fpm
from phpgw.backend.fpm.manager import OwnFpm
from phpgw.backend.reply import Follow, Reply
from phpgw.metrics import Metrics
from tests.support.fakes import identity
from tests.support.real.process import MissingProgram
from tests.support.real.process_table import descendants, group_members, naming, still_running
from tests.support.reply_recorder import ReplyRecorder


class FpmTestCase(TestCase):
    timeout = 30

    def make(self, **changes: Any) -> OwnFpm:
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
        return OwnFpm(reactor, FpmConfig(**{**settings, **changes}))

    def start(self, **changes: Any) -> OwnFpm:
        fpm = self.make(**changes)
        fpm.startService()
        self.addCleanup(lambda: fpm.running and fpm.stopService())
        return fpm

    def socket(self, fpm: OwnFpm) -> Path:
        assert fpm.socket is not None
        return fpm.socket

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
        backend = self.backend = make_fastcgi_backend(
            reactor,
            endpoint=fpm,
            script=str(script),
            timeout=20,
            queue_timeout=20,
            concurrency=2,
            max_reply_size=1000,
            signer=None,
            metrics=Metrics(),
        )
        self.addCleanup(backend.close)
        return await backend.ask(Event("server", message, identity()), follow)


class ManagedFpmTests(FpmTestCase):
    async def test_starts_and_stops(self) -> None:
        fpm = self.start()
        await fpm.when_ready()
        socket = self.socket(fpm)
        self.assertTrue(socket.is_socket())
        self.assertEqual(socket.stat().st_mode & 0o777, 0o600)
        assert fpm.pid is not None
        while len(workers := descendants(fpm.pid)) < 2:
            await deferLater(reactor, 0.01)
        await fpm.stopService()
        self.assertFalse(socket.parent.exists())
        self.assertEqual(still_running(workers), set())

    async def test_nothing_is_made_before_it_starts(self) -> None:
        """``twistd --uid`` changes who we are between the check and the start."""
        place = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(place.rmdir)
        self.patch(tempfile, "tempdir", str(place))
        fpm = self.make()
        fpm._config.check()
        self.assertEqual([], list(place.iterdir()))
        fpm.startService()
        await fpm.when_ready()
        self.assertEqual(1, len(list(place.iterdir())))
        await fpm.stopService()

    async def test_starts_again_when_killed(self) -> None:
        """At once, and without the old one's workers."""
        fpm = self.start()
        await fpm.when_ready()
        assert fpm.pid is not None
        before = fpm.pid
        os.kill(before, signal.SIGKILL)
        while fpm.pid in (before, None):
            await deferLater(reactor, 0.01)
        await fpm.when_ready()
        self.assertTrue(self.socket(fpm).is_socket())
        while group_members(before):
            await deferLater(reactor, 0.01)

    async def test_largest_message(self) -> None:
        """PHP takes a form of that size, too, in which each byte may have become three."""
        reply = await self.ask("<?php echo strlen($_POST['message']);", message=bytes(4_000_000))
        self.assertEqual(b"4000000", reply.body)

    async def test_flush(self) -> None:
        """What PHP flushes is there at once, as the contract has it."""
        signal_file = Path(self.mktemp()).absolute()
        follower = ReplyRecorder()
        follower.at_piece = signal_file.touch
        reply = await self.ask(
            "<?php while (ob_get_level()) { ob_end_flush(); }"
            "header('Content-Type: application/x-ndjson');"
            'echo "one\\n"; flush();'
            f"while (!file_exists('{signal_file}')) {{ usleep(1000); clearstatcache(); }}"
            'echo "two\\n";',
            follower,
        )
        self.assertEqual([b"one\n", b"two\n"], follower.pieces)
        self.assertEqual((b"application/x-ndjson", b""), (reply.head.media_type, reply.body))

    async def test_status_after_something_was_printed(self) -> None:
        """A byte order mark, or a blank line, does not take from PHP the chance to say no."""
        for printed in ("\ufeff", "\n\n", "x" * 900):
            reply = await self.ask(
                f"{printed}<?php http_response_code(403); setcookie('a', 'b'); echo 'no';"
            )
            self.assertEqual((403, 1), (reply.head.status, len(reply.head.set_cookies)))

    async def test_without_flush(self) -> None:
        """An ordinary reply comes in one, so that nobody has to follow it."""
        follower = ReplyRecorder()
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

    async def test_environment(self) -> None:
        """Any value, byte for byte; nothing else of the gateway's own, but what FPM sets."""
        value = "a \"b\";'$c' ${d} %e\\n \n=#;é"
        reply = await self.ask(
            "<?php echo json_encode([getenv('MINE'), $_SERVER['EMPTY'], getenv('HIDDEN')]);",
            env=(("MINE", value), ("EMPTY", "")),
        )
        self.assertEqual([value, "", False], json.loads(reply.body))

    async def test_pool_settings(self) -> None:
        pool_file = Path(self.mktemp())
        pool_file.write_text(
            "; what this site needs\nphp_value[memory_limit] = 77M\n"
            "php_value[output_buffering] = 0\npm.max_requests = 100\nenv[MINE] = x"
        )
        reply = await self.ask(
            "<?php echo ini_get('memory_limit'), ini_get('output_buffering'), getenv('MINE'), "
            "getenv('YOURS');",
            pool_file=pool_file,
            env=(("YOURS", "y"),),
        )
        self.assertEqual(b"77M0xy", reply.body)

    async def test_temporary_directory_that_php_fpm_cannot_name(self) -> None:
        """Its path is too long for a socket, or holds what would be read as something else."""
        parent = Path(self.mktemp()).absolute()
        for name in ("x" * 120, "a;b", "a b", 'a"b', "a:b", "$a", "é", "(a)"):
            place = parent / name
            place.mkdir(parents=True)
            self.patch(tempfile, "tempdir", str(place))
            fpm = self.start()
            fpm._config.check()
            await fpm.when_ready()
            self.assertNotIn(place, self.socket(fpm).parents)
            await fpm.stopService()
            self.assertEqual([], list(place.iterdir()))


class ReloadTests(FpmTestCase):
    async def test_replaced(self) -> None:
        """The old one finishes what it is at; all that is new goes to the new one at once."""
        go = Path(self.mktemp()).absolute()
        source = (
            "<?php if ($_POST['message'] === 'wait') {"
            f" while (!file_exists('{go}')) {{ usleep(1000); clearstatcache(); }} }}"
            "echo posix_getppid();"
        )
        waiting = ensureDeferred(self.ask(source, message=b"wait"))
        while not hasattr(self, "backend"):
            await deferLater(reactor, 0.01)
        await deferLater(reactor, 0.1)
        old = self.fpm.pid
        for _ in range(2):
            self.assertTrue(await self.fpm.reload())
            reply = await self.backend.ask(Event("server", b"hi", identity()))
            self.assertEqual(str(self.fpm.pid), reply.body.decode())
            self.assertNotEqual(old, self.fpm.pid)
        go.touch()
        self.assertEqual(str(old), (await waiting).body.decode())
        while len(list(self.socket(self.fpm).parent.iterdir())) > 2:
            await deferLater(reactor, 0.01)

    async def test_again_before_it_is_done(self) -> None:
        fpm = self.start()
        first = fpm.reload()
        await fpm.when_ready()
        before = fpm.pid
        done = [first, *(fpm.reload() for _ in range(5))]
        self.assertEqual([True] * 6, [await each for each in done])
        self.assertNotEqual(before, fpm.pid)

    async def test_new_settings_that_are_wrong(self) -> None:
        """The old one goes on."""
        pool_file = Path(self.mktemp())
        pool_file.touch()
        fpm = self.start(pool_file=pool_file)
        await fpm.when_ready()
        before = fpm.pid
        for text in ("nonsense = 1", "listen = 9000", "[other]"):
            pool_file.write_text(text)
            self.assertFalse(await fpm.reload())
            self.assertEqual(before, fpm.pid)
            self.assertTrue(fpm.is_ready)
        pool_file.write_text("pm.max_requests = 10")
        self.assertTrue(await fpm.reload())
        self.assertNotEqual(before, fpm.pid)

    async def test_killed_meanwhile(self) -> None:
        fpm = self.start()
        await fpm.when_ready()
        assert fpm.pid is not None
        done = fpm.reload()
        os.kill(fpm.pid, signal.SIGKILL)
        self.assertTrue(await done)
        self.assertTrue(fpm.is_ready)

    async def test_guardian_killed(self) -> None:
        """Without one, PHP-FPM would outlive a gateway that is killed."""
        fpm = self.start()
        await fpm.when_ready()
        before = fpm.pid
        directory = self.socket(fpm).parent
        [guard] = [each for each in naming(directory) if each.pid != before]
        os.kill(guard.pid, signal.SIGKILL)
        while fpm.pid == before or not fpm.is_ready:
            await deferLater(reactor, 0.01)
        while still_running({guard}) or len(naming(directory)) != 2:
            await deferLater(reactor, 0.01)
        await fpm.stopService()
        while naming(directory):
            await deferLater(reactor, 0.01)
