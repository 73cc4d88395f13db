"""Tests for :mod:`phpgw.pools.postgres.service` and :mod:`phpgw.pools.postgres.process`."""

import os
import socket
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGKILL, SIGTERM
from typing import Any

from twisted.internet.error import ConnectError
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.front import open_socket
from phpgw.pools.postgres import config, service
from phpgw.pools.postgres.service import PostgresPool
from phpgw.settings.pool_text import parse_pool
from tests.support.fake_pgbouncer import FakePgBouncer, PgBouncerReactor
from tests.support.short_directory import short_directory

PROGRAM = Path("/usr/sbin/pgbouncer")
# The log of PgBouncer has these before each line.
STAMP = "2026-11-29 16:07:28.353 UTC [6476]"
POOLS = [{"sv_active": "2", "sv_idle": "1", "cl_waiting": "4"}]
SERVERS = [{"ptr": "0x1", "connect_time": "noon", "state": "active"}]


class PostgresPoolTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.events: list[LogEvent] = []
        note: Any = self.events.append
        globalLogPublisher.addObserver(note)
        self.addCleanup(globalLogPublisher.removeObserver, note)
        self.directory = short_directory(self)
        self.own = self.directory / "own"
        self.secret = self.directory / "secret"
        self.write_password("first")
        self.patch(service, "make_socket_directory", self.make_directory)
        self.patch(service, "find_pgbouncer", lambda pool: PROGRAM)
        self.patch(config, "find_account", lambda: None)
        self.killed: list[int] = []
        self.patch(os, "killpg", self.kill_group)
        self.reactor = PgBouncerReactor()
        text = (
            f"db=postgres://app@h?wait=3s&socket={self.directory}/pool/.s.PGSQL.5432"
            f"&password-file={self.secret}"
        )
        self.configuration = parse_pool(text)
        self.pool = PostgresPool(self.reactor, self.configuration)

    def tearDown(self) -> None:
        stopped = self.pool.stop_within(1)
        if self.reactor.processes and self.process.pid is not None:
            self.process.end()
        self.successResultOf(stopped)
        self.assertEqual([], self.reactor.getDelayedCalls())

    def make_directory(self) -> Path:
        self.own.mkdir()
        return self.own

    def kill_group(self, group: int, number: int) -> None:
        """Kill one that has not ended; the workers of one that has are none of its."""
        process = self.reactor.processes[group - 1000]
        if process.pid is None:
            raise ProcessLookupError
        self.killed.append(group)
        process.signalProcess(number)

    def write_password(self, password: str) -> None:
        self.secret.write_text(password)
        self.secret.chmod(0o600)

    @property
    def process(self) -> FakePgBouncer:
        return self.reactor.processes[-1]

    def start(self) -> FakePgBouncer:
        """Start the pool; PgBouncer is not ready yet."""
        self.pool.start(open_socket(self.configuration))
        return self.process

    def start_ready(self) -> FakePgBouncer:
        self.start()
        return self.make_ready()

    def make_ready(self) -> FakePgBouncer:
        """Have PgBouncer listen, and answer once."""
        self.process.tables = {"SHOW POOLS": POOLS, "SHOW SERVERS": SERVERS}
        self.process.is_listening = True
        self.reactor.pass_seconds(0.2)
        return self.process

    def php(self) -> socket.socket:
        """Return a connection of PHP to the pool."""
        connection = socket.socket(socket.AF_UNIX)
        self.addCleanup(connection.close)
        connection.connect(str(self.configuration.socket))
        connection.setblocking(False)
        return connection

    def lines(self, level: str | None = None) -> str:
        return "\n".join(
            formatEvent(event)
            for event in self.events
            if level is None or event["log_level"].name == level
        )


class StartTests(PostgresPoolTestCase):
    def test_command(self) -> None:
        """PgBouncer gets its files, the socket of the pool, and one for its console."""
        listening = open_socket(self.configuration)
        self.pool.start(listening)
        self.assertEqual([str(PROGRAM), f"{self.own}/pgbouncer.ini"], self.process.command[-2:])
        self.assertEqual(listening.fileno(), self.process.descriptors[4])
        self.assertNotIn(self.process.descriptors[5], (None, listening.fileno()))
        self.assertIn('"app" "first"', (self.own / "pgbouncer.users").read_text())

    def test_ready(self) -> None:
        """It is ready once the console has answered, which has a password that nobody knows."""
        process = self.start()
        self.reactor.pass_seconds(1)
        self.assertNotIn("is ready", self.lines())
        self.make_ready()
        self.assertIn("Pool db: PgBouncer is ready", self.lines("info"))
        [console] = process.consoles
        self.assertIn(f'"{console.password}"', (self.own / "pgbouncer.users").read_text())
        self.assertGreater(len(console.password), 30)

    def test_figures(self) -> None:
        """They are asked for once a second, over one connection."""
        process = self.start_ready()
        figures = self.pool.figures
        self.assertEqual(
            (2, 1, 4, 1), (figures.in_use, figures.idle, figures.waiting, figures.opened)
        )
        process.tables["SHOW POOLS"] = []
        self.reactor.pass_seconds(1)
        self.assertEqual(0, figures.in_use)
        [console] = process.consoles
        self.assertEqual(["SHOW POOLS", "SHOW SERVERS"] * 2, console.asked)

    def test_cannot_start(self) -> None:
        """It is tried again, and the figures say why."""
        self.reactor.spawn_error = OSError("no memory")
        self.pool.start(open_socket(self.configuration))
        self.assertIn("no memory", self.pool.figures.problem)
        self.reactor.spawn_error = None
        self.reactor.pass_seconds(0.1)
        self.make_ready()
        self.assertEqual("", self.pool.figures.problem)

    def test_no_password(self) -> None:
        """It starts as soon as the password can be read."""
        self.secret.unlink()
        self.pool.start(open_socket(self.configuration))
        self.assertEqual([], self.reactor.processes)
        self.assertIn(str(self.secret), self.pool.figures.problem)
        self.write_password("late")
        self.reactor.pass_seconds(0.1)
        self.assertEqual(1, len(self.reactor.processes))


class EndTests(PostgresPoolTestCase):
    def test_restart(self) -> None:
        """It is started again at the same socket, later each time, and its last words are kept."""
        first = self.start_ready()
        first.prints(f"{STAMP} FATAL cannot load config file")
        first.end(1)
        said = "PgBouncer ended (status 1: cannot load config file)"
        self.assertEqual(said, self.pool.figures.problem)
        self.assertEqual(0, self.pool.figures.in_use)
        self.assertIn(f"Pool db: {said}; it is started again in 0.1 s", self.lines("error"))
        for delay in (0.1, 0.2, 0.4):
            count = len(self.reactor.processes)
            self.reactor.advance(delay - 0.01)
            self.assertEqual(count, len(self.reactor.processes))
            self.reactor.advance(0.02)
            self.assertEqual(count + 1, len(self.reactor.processes))
            self.process.end(signal=SIGKILL)
        self.assertEqual(4, self.pool.restarts)
        self.assertEqual(first.descriptors[4], self.process.descriptors[4])
        self.assertIn("signal 9", self.pool.figures.problem)

    def test_stable(self) -> None:
        """The delay is short again after a PgBouncer that was ready for long enough."""
        self.start().end(1)
        self.reactor.pass_seconds(1)
        self.make_ready()
        self.reactor.pass_seconds(30)
        self.process.end(1)
        self.reactor.pass_seconds(0.1)
        self.assertEqual(3, len(self.reactor.processes))

    def test_not_stable(self) -> None:
        """One that ends before has no effect on the delay of the next."""
        self.start_ready()
        self.reactor.pass_seconds(29)
        self.process.end(1)
        self.reactor.pass_seconds(2)
        self.process.end(1)
        self.assertIn("again in 0.2 s", self.lines("error"))

    def test_hangs(self) -> None:
        """One that does not answer for 30 seconds is killed, and replaced."""
        process = self.start_ready()
        process.hangs = True
        self.reactor.pass_seconds(30)
        self.assertEqual([], process.signals)
        self.reactor.pass_seconds(1)
        self.assertEqual([SIGKILL], process.signals)
        self.assertIn("Pool db: PgBouncer hangs; it is killed", self.lines("error"))
        self.assertIn("signal 9", self.pool.figures.problem)
        self.reactor.pass_seconds(0.1)
        self.assertEqual(2, len(self.reactor.processes))

    def test_hangs_at_login(self) -> None:
        """It is the same with one that accepts connections, and does nothing else."""
        process = self.start()
        process.hangs = True
        self.make_ready()
        self.reactor.pass_seconds(31)
        self.assertEqual([SIGKILL], process.signals)
        self.assertNotIn("is ready", self.lines())

    def test_ends_while_asked(self) -> None:
        """An answer that is missing at the end is no error of its own."""
        process = self.start_ready()
        process.hangs = True
        self.reactor.pass_seconds(2)
        process.end(1)
        self.reactor.pass_seconds(0.1)
        self.make_ready()
        self.assertEqual(2, self.pool.figures.in_use)
        self.assertEqual(1, len(self.process.consoles))

    def test_keeps_failing(self) -> None:
        """PHP waits for one that comes soon, but gets an error if that takes too long."""
        self.start()
        php = self.php()
        while "again in 3.2 s" not in self.lines():
            self.assertRaises(BlockingIOError, php.recv, 1)
            self.process.end(1)
            if "again in 3.2 s" not in self.lines():
                self.reactor.pass_seconds(1.7)
        self.assertIn(b"is not running", php.recv(1000))
        later = self.php()
        self.reactor.pass_seconds(1.1)
        self.assertIn(b"is not running", later.recv(1000))
        self.reactor.pass_seconds(2.2)
        self.make_ready()
        self.assertRaises(BlockingIOError, self.php().recv, 1)

    def test_guardian(self) -> None:
        """One whose guardian was killed is replaced; it is killed if it does not end in time."""
        process = self.start_ready()
        process.loses_guardian()
        self.assertIn("guardian", self.lines("warn"))
        self.assertEqual([SIGTERM], process.signals)
        self.reactor.pass_seconds(5.2)
        self.assertEqual([1000], self.killed)
        self.assertEqual(2, len(self.reactor.processes))


class LogTests(PostgresPoolTestCase):
    def test_levels(self) -> None:
        """Each line has the level that PgBouncer gives it; one that is none of its is a warning."""
        process = self.start()
        for level, expected in (
            ("LOG", "debug"),
            ("WARNING", "warn"),
            ("ERROR", "error"),
            ("FATAL", "error"),
        ):
            process.prints(f"{STAMP} {level} a {level} line")
            self.assertIn(f"PgBouncer: a {level} line", self.lines(expected))
        process.prints("sh: not \x1bfound")
        self.assertIn("PgBouncer: sh: not \\x1bfound", self.lines("warn"))

    def test_refusals(self) -> None:
        """It is counted when PHP gets no connection, and the reason is kept."""
        process = self.start_ready()
        line = f"{STAMP} WARNING C-0x55fc: shop/app@unix(6551):6432 pooler error: "
        process.prints(f"{line}query_wait_timeout")
        process.prints(f"{line}server login failed")
        refused = self.pool.figures.refused
        self.assertEqual((1, 1), (refused["full"], refused["unavailable"]))
        self.assertEqual("server login failed", self.pool.figures.problem)


class ReloadTests(PostgresPoolTestCase):
    def test_reload(self) -> None:
        """A new password is used for new connections; those with the old one are closed."""
        process = self.start_ready()
        self.write_password("second")
        self.pool.reload()
        process.serve()
        [console] = process.consoles
        self.assertEqual(["RELOAD", "RECONNECT"], console.asked[-2:])
        users = (self.own / "pgbouncer.users").read_text()
        self.assertIn('"app" "second"', users)
        self.assertIn(console.password, users)

    def test_not_ready(self) -> None:
        """One that is not ready yet gets a signal, and one that is not there nothing."""
        process = self.start()
        self.pool.reload()
        self.assertEqual([SIGHUP], process.signals)
        process.end(1)
        self.pool.reload()
        self.assertEqual([SIGHUP], process.signals)

    def test_no_password(self) -> None:
        """If the new password cannot be read, the old one stays."""
        process = self.start_ready()
        self.secret.unlink()
        self.pool.reload()
        process.serve()
        self.assertIn("Pool db was not reloaded: ", self.lines("error"))
        self.assertIn('"app" "first"', (self.own / "pgbouncer.users").read_text())
        self.assertNotIn("RELOAD", process.consoles[0].asked)

    def test_refused(self) -> None:
        """A console that refuses a command is closed, and the figures come from another one."""
        process = self.start_ready()
        process.errors["RELOAD"] = "cannot load config file"
        self.pool.reload()
        process.serve()
        self.assertEqual([False], [each.connected for each in process.consoles])
        process.tables["SHOW POOLS"] = []
        self.reactor.pass_seconds(1.2)
        self.assertEqual([False, True], [each.connected for each in process.consoles])
        self.assertEqual(0, self.pool.figures.in_use)
        self.assertEqual([], process.signals)

    def test_refused_while_asked(self) -> None:
        """The same holds while figures are asked for."""
        process = self.start_ready()
        process.errors["RELOAD"] = "cannot load config file"
        process.hangs = True
        self.pool.reload()
        self.reactor.pass_seconds(2)
        process.hangs = False
        self.reactor.pass_seconds(2)
        self.assertEqual([False, True], [each.connected for each in process.consoles])


class ConsoleTests(PostgresPoolTestCase):
    def test_error(self) -> None:
        """After each error the console is closed, and opened again a second later."""
        process = self.start()
        process.errors["SHOW SERVERS"] = "no memory"
        self.make_ready()
        self.reactor.pass_seconds(3)
        self.assertGreater(len(process.consoles), 2)
        self.assertEqual([], [each for each in process.consoles if each.connected])
        process.errors.clear()
        self.reactor.pass_seconds(1.2)
        self.assertTrue(process.consoles[-1].connected)
        self.assertEqual(2, self.pool.figures.in_use)
        process.end(1)
        self.assertEqual(1, len(self.reactor.getDelayedCalls()))

    def test_unreachable(self) -> None:
        """What is no answer of the console is logged, and it is tried again."""
        process = self.start_ready()
        process.consoles[0].loseConnection()
        process.is_listening = False
        self.reactor.pass_seconds(3)
        self.assertIn("Pool db: its figures are not known", self.lines())
        self.assertTrue(self.flushLoggedErrors(ConnectError))
        process.tables["SHOW POOLS"] = []
        process.is_listening = True
        self.reactor.pass_seconds(1.2)
        self.assertEqual(0, self.pool.figures.in_use)


class StopTests(PostgresPoolTestCase):
    def test_stop(self) -> None:
        """PgBouncer ends once PHP has no connection any more; nothing is left of it."""
        process = self.start_ready()
        stopped = self.pool.stop_within(5)
        self.assertEqual([SIGINT], process.signals)
        self.assertRaises(ConnectionRefusedError, self.php)
        self.assertFalse(process.consoles[0].connected)
        self.assertNoResult(stopped)
        process.end()
        self.successResultOf(stopped)
        self.assertFalse(self.own.exists())
        self.assertEqual([], self.reactor.getDelayedCalls())
        self.assertEqual(0, self.pool.restarts)

    def test_late(self) -> None:
        """After its time PgBouncer is stopped, and killed if that does not help."""
        process = self.start_ready()
        stopped = self.pool.stop_within(5)
        self.reactor.pass_seconds(5.1)
        self.assertEqual([SIGINT, SIGTERM], process.signals)
        self.reactor.pass_seconds(5.1)
        self.assertEqual([1000], self.killed)
        self.successResultOf(stopped)

    def test_while_asked(self) -> None:
        """An answer that is missing at the stop is not waited for."""
        process = self.start_ready()
        process.hangs = True
        self.reactor.pass_seconds(2)
        self.pool.stop_within(60)
        self.reactor.pass_seconds(50)
        self.assertEqual([SIGINT], process.signals)

    def test_between(self) -> None:
        """One that waits to be started again is not started."""
        self.start().end(1)
        self.successResultOf(self.pool.stop_within(5))
        self.reactor.pass_seconds(10)
        self.assertEqual(1, len(self.reactor.processes))

    def test_guardian(self) -> None:
        """PHP may finish also if the guardian ends meanwhile."""
        process = self.start_ready()
        self.pool.stop_within(5)
        process.loses_guardian()
        self.assertEqual([SIGINT], process.signals)
