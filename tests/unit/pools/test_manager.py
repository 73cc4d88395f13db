"""Tests for :mod:`phpgw.pools.manager`, and for a gateway without pools."""

import grp
import json
import os
import pwd
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.figures import PoolFigures
from phpgw.pools.interface import Pools
from phpgw.pools.manager import OwnPools
from phpgw.pools.selection import make_pools, no_pools
from phpgw.settings import Settings
from phpgw.settings.option import InvalidOption
from phpgw.settings.pool_text import parse_pool
from tests.support.fake_workers import FakeWorker, WorkersReactor
from tests.support.short_directory import short_directory


class OwnPoolsTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.lines: list[str] = []
        note: Any = self.note
        globalLogPublisher.addObserver(note)
        self.addCleanup(globalLogPublisher.removeObserver, note)
        self.reactor: Any = WorkersReactor()
        self.directory = short_directory(self)
        pools = [f"{name}=mysql://app@h?socket={self.directory}/{name}.sock" for name in ("a", "b")]
        self.settings = Settings(php_script="/a.php", pool=tuple(map(parse_pool, pools)))
        self.pools: Any = make_pools(self.settings, self.reactor)
        self.assertIsInstance(self.pools, OwnPools)

    def tearDown(self) -> None:
        self.stop()

    def note(self, event: LogEvent) -> None:
        self.lines.append(formatEvent(event))

    def assert_logged(self, text: str) -> None:
        self.assertIn(text, "\n".join(self.lines))

    def start(self) -> FakeWorker:
        self.pools.privilegedStartService()
        self.pools.startService()
        return self.process

    @property
    def process(self) -> FakeWorker:
        process: FakeWorker = self.reactor.workers[-1]
        return process

    def stop(self) -> None:
        if self.pools.running:
            stopped = self.pools.stop_within(5)
            if self.pools.pid is not None:
                self.process.end()
            self.successResultOf(stopped)


class StartTests(OwnPoolsTestCase):
    def test_job(self) -> None:
        """The process gets the sockets, and no password: it reads the files itself."""
        process = self.start()
        [job] = process.told
        self.assertEqual({"a": 5, "b": 6}, job["sockets"])
        self.assertEqual({0, 1, 2, 3, 4, 5, 6}, {*process.descriptors})
        self.assertEqual([3, 3], [each["wait"] for each in job["pools"]])
        self.assertTrue(job["pools"][0]["text"].startswith("a=mysql://"))

    def test_sockets_are_open_first(self) -> None:
        """A socket that cannot be opened is a mistake in the options."""
        (self.directory / "b.sock").touch()
        error = self.assertRaises(InvalidOption, self.pools.open)
        self.assertIn("--pool: got 'b: ", str(error))
        for each in self.pools._sockets.values():
            each.close()

    def test_ready(self) -> None:
        process = self.start()
        self.assertIn("not ready", self.pools.as_json()[0]["problem"])
        process.tells("ready")
        self.assertEqual("", self.pools.as_json()[0]["problem"])

    def test_no_process(self) -> None:
        """It is tried again when no process can be started."""
        self.reactor.spawn_error = OSError("no memory")
        self.pools.startService()
        self.reactor.spawn_error = None
        self.reactor.advance(0.1)
        self.assertEqual(1, len(self.reactor.workers))


class WatchTests(OwnPoolsTestCase):
    def test_restart(self) -> None:
        """A process that ends is started again, with the same sockets, later each time."""
        process = self.start()
        process.tells("ready")
        process.end(signal=9)
        self.assertIn("not ready", self.pools.as_json()[0]["problem"])
        self.reactor.advance(0.1)
        self.assertEqual(2, len(self.reactor.workers))
        self.assertEqual(process.descriptors, self.process.descriptors)
        self.process.end(1)
        self.reactor.advance(0.1)
        self.assertEqual(2, len(self.reactor.workers))
        self.reactor.advance(0.1)
        self.assertEqual(3, len(self.reactor.workers))
        self.assertEqual(2, self.pools.restarts)
        self.assert_logged("ended (signal 9)")

    def test_stable(self) -> None:
        """The delay is short again once the process has run for long enough."""
        for _ in range(3):
            self.start() if not self.reactor.workers else None
            self.process.end(1)
            self.reactor.advance(1)
        self.process.tells("ready")
        self.alive(30)
        self.process.end(1)
        count = len(self.reactor.workers)
        self.reactor.advance(0.1)
        self.assertEqual(count + 1, len(self.reactor.workers))

    def test_hangs(self) -> None:
        """A process without a sign of life is killed."""
        process = self.start()
        process.tells("ready")
        self.alive(60)
        self.assertEqual([], process.signals)
        self.reactor.pump([1] * 30)
        self.assertEqual([9], process.signals)

    def alive(self, seconds: int) -> None:
        for _ in range(seconds):
            self.reactor.advance(1)
            self.process.tells("figures", pools={})

    def test_long_down(self) -> None:
        """PHP waits for a process that is about to start, but not for one that does not come."""
        self.start()
        php = socket.socket(socket.AF_UNIX)
        self.addCleanup(php.close)
        php.connect(str(self.directory / "b.sock"))
        php.setblocking(False)
        self.reactor.pump([1] * 9)
        self.assertRaises(BlockingIOError, php.recv, 1)
        self.reactor.advance(1)
        self.assertEqual(b"", php.recv(1))
        self.process.tells("ready")
        other = socket.socket(socket.AF_UNIX)
        self.addCleanup(other.close)
        other.connect(str(self.directory / "b.sock"))
        other.setblocking(False)
        self.alive(10)
        self.assertRaises(BlockingIOError, other.recv, 1)

    def test_fails(self) -> None:
        """Why it cannot start is in the log, and in the status."""
        process = self.start()
        process.tells("failed", reason="no user\nis named")
        process.end(0)
        self.assertEqual("no user\\x0ais named", self.pools.as_json()[0]["problem"])
        self.assert_logged("The pools cannot start: no user")

    def test_log(self) -> None:
        """What the process logs is in the gateway's log, with its fields."""
        process = self.start()
        process.tells(
            "log",
            level="warn",
            namespace="phpgw.pools.pool",
            text="Pool a is full",
            fields={"n": 5},
        )
        self.assert_logged("Pool a is full")


class FiguresTests(OwnPoolsTestCase):
    def test_figures(self) -> None:
        process = self.start()
        process.tells("ready")
        figures = PoolFigures(in_use=3, opened=7, problem="refused")
        figures.waits.observe(0.004)
        process.tells("figures", pools={"a": figures.as_json()})
        first, second = self.pools.as_json()
        self.assertEqual(
            ("a", 8, 3, 7), tuple(first[each] for each in ("name", "size", "in_use", "opened"))
        )
        self.assertEqual(("refused", "mysql://h:3306"), (first["problem"], first["server"]))
        self.assertAlmostEqual(0.004, first["wait_p50"], 2)
        self.assertEqual((0, None), (second["in_use"], second["wait_p50"]))
        json.dumps(self.pools.as_json())
        process.end(1)
        self.assertEqual(0, self.pools.as_json()[0]["in_use"])
        samples = {
            name: value
            for family in self.pools.families()
            for name, labels, value in family["samples"]
            if labels.get("pool", "a") == "a"
        }
        self.assertEqual(
            (8, 1), (samples["phpgw_pool_size"], samples["phpgw_pools_restarts_total"])
        )


class StopTests(OwnPoolsTestCase):
    def test_stop(self) -> None:
        """The process is told how long PHP has; it gets a little longer itself."""
        process = self.start()
        stopped = self.pools.stop_within(5)
        self.assertEqual({"type": "stop", "seconds": 5}, process.told[-1])
        self.assertNoResult(stopped)
        process.end()
        self.successResultOf(stopped)
        self.assertEqual([], [*self.directory.iterdir()])
        self.assertEqual([], self.reactor.getDelayedCalls())

    def test_late(self) -> None:
        process = self.start()
        stopped = self.pools.stop_within(5)
        self.reactor.advance(7)
        self.assertEqual([9], process.signals)
        self.successResultOf(stopped)

    def test_not_running(self) -> None:
        """A process that waits to be started again is not started."""
        self.start().end(1)
        self.successResultOf(self.pools.stopService())
        self.reactor.advance(10)
        self.assertEqual(1, len(self.reactor.workers))

    def test_reload(self) -> None:
        process = self.start()
        self.assertTrue(self.pools.reload())
        self.assertEqual("reload", process.told[-1]["type"])


class GroupTests(SynchronousTestCase):
    def group(self, uid: int, *, fields: str = "", **options: Any) -> str | None:
        """Return the group of a pool's socket, if the gateway runs as this user."""
        self.patch(os, "geteuid", lambda: uid)
        pool = parse_pool(f"a=mysql://h?socket=/s{fields}")
        settings = Settings(pool=(pool,), **options)
        pools: Any = make_pools(settings, WorkersReactor())
        group: str | None = pools._job["pools"][0]["group"]
        return group

    def test_own_php_fpm(self) -> None:
        """A gateway of root's has another user for its own PHP-FPM, whose group it is then."""
        user = pwd.getpwuid(os.getuid())
        group, other = grp.getgrgid(user.pw_gid).gr_name, grp.getgrall()[-1].gr_name
        own = {"php_script": "/a.php", "php_user": user.pw_name}
        self.assertEqual(group, self.group(0, **own))
        self.assertEqual(other, self.group(0, **own, fields=f"&group={other}"))
        self.assertIsNone(self.group(1000, **own))
        self.assertIsNone(self.group(0, php_url="http://localhost/"))
        self.assertIsNone(self.group(0, php_script="/a.php", php_fpm="tcp:h:1"))


class NoPoolsTests(SynchronousTestCase):
    def test_off(self) -> None:
        """Without pools there is nothing: no process, no socket, no figure."""
        reactor = WorkersReactor()
        for make in (make_pools, no_pools):
            pools = make(Settings(php_script="/a.php"), reactor)
            self.assertIs(Pools, type(pools))
            pools.open()
            pools.startService()
            self.assertFalse(pools.reload())
            self.assertEqual(([], []), (pools.families(), pools.as_json()))
            self.successResultOf(pools.stop_within(5))
        self.assertEqual(([], []), (reactor.workers, reactor.getDelayedCalls()))

    def test_nothing_is_loaded(self) -> None:
        """A gateway without pools has none of their code in memory."""
        code = (
            "import sys, phpgw.service, phpgw.workers.opening;"
            "print(*(name for name in sys.modules if name.startswith('phpgw.pools.')))"
        )
        loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        self.assertEqual(
            {b"phpgw.pools.interface", b"phpgw.pools.selection"}, {*loaded.stdout.split()}
        )

    def test_not_here(self) -> None:
        """A worker has no pools: its parent has them."""
        pool = parse_pool(f"a=mysql://h?socket={Path(self.mktemp())}")
        settings = Settings(php_script="/a.php", pool=(pool,))
        self.assertIs(Pools, type(no_pools(settings, WorkersReactor())))
