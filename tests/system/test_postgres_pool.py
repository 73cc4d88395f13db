"""Pools of connections to a real PostgreSQL, by a real PgBouncer, with PHP's own drivers."""

import json
import os
import signal
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from phpgw.pools.front import open_socket
from phpgw.pools.postgres import service
from phpgw.pools.postgres.service import PostgresPool
from phpgw.settings.pool_text import parse_pool
from tests.support.certificate import make_certificate
from tests.support.real.command import run
from tests.support.real.php import php_with
from tests.support.real.postgres import Postgres
from tests.support.real.process import free_port
from tests.support.real.process_table import descendants, still_running
from tests.support.real.system_test_case import SystemTestCase
from tests.support.real.waiting import pause

_SESSIONS = Path(__file__).parents[1] / "support/real/postgres_sessions.php"
_OPENING = """
CREATE TABLE entries (text text);
CREATE SEQUENCE counts;
CREATE ROLE other; GRANT other TO app;
GRANT ALL ON entries, counts TO app, other;
"""
# States in which PgBouncer closes the connection.
_ENDED_BY_CLOSING = {"transaction", "failed transaction", "table lock", "copy"}


class PostgresPoolTests(SystemTestCase):
    def start_postgres(self, **options: Any) -> Postgres:
        postgres = self._started(Postgres(self._directory_for("postgres"), **options))
        postgres.ask(_OPENING)
        return postgres

    def start_pool(self, postgres: Postgres, **fields: object) -> PostgresPool:
        """Start a pool; it has one connection, unless something else is said."""
        return self.start_pool_at(f"postgres+unix://{postgres.socket}", **fields)

    def start_pool_at(self, url: str, **fields: object) -> PostgresPool:
        from twisted.internet import reactor

        secret = self.directory / "secret"
        if not secret.exists():
            secret.write_text(Postgres.password)
            secret.chmod(0o600)
        self.pool_directory = self.directory / "pool"
        place = self.pool_directory / ".s.PGSQL.5432"
        given = {"size": 1, "wait": "3s", "user": "app", "password_file": secret, **fields}
        if "listen" not in given:
            given["socket"] = place
        text = "&".join(f"{key.replace('_', '-')}={value}" for key, value in given.items())
        config = parse_pool(f"shop={url}?{text}")
        pool = PostgresPool(reactor, config)
        pool.start(open_socket(config))
        self.addCleanup(pool.stop_within, 0.1)
        return pool

    async def php(self, source: str, *, timeout: float = 30) -> str:
        """Run PHP code, which knows where the pool is; return what it prints."""
        program = php_with("pdo_pgsql", "php-pgsql")
        code = f"$place = 'host={self.pool_directory};dbname=shop;user=app'; {source}"
        ended = await run([program, "-d", "display_errors=stderr", "-r", code], timeout=timeout)
        return ended.stdout + ended.stderr

    async def query(self, query: str) -> str:
        """Return the value of a query as the next user of the pool gets it, or the error."""
        return await self.php(
            f"""try {{ $p = new PDO("pgsql:$place"); $p->setAttribute(PDO::ATTR_ERRMODE, 2);
            echo $p->query('{query}')->fetchColumn(); }}
            catch (PDOException $e) {{ echo $e->getMessage(); }}"""
        )

    def pgbouncer(self, pool: PostgresPool) -> int:
        process = pool._process
        assert process is not None
        pid: int = process.transport.pid
        return pid

    async def test_states(self) -> None:
        """Whatever PHP leaves behind, and however it ends, the next user sees nothing of it."""
        postgres = self.start_postgres()
        self.start_pool(postgres)
        program = php_with("pcntl", "php-cli")
        ended = await run([program, str(_SESSIONS), str(self.pool_directory)], timeout=50)
        self.assertEqual((0, ""), (ended.status, ended.stderr))
        cases: list[dict[str, Any]] = [json.loads(line) for line in ended.stdout.splitlines()]
        self.assertEqual([], [case for case in cases if case["difference"]])
        # It is proven for connections that were cleaned, and not only for those that were closed.
        same = {(case["state"], case["end"]) for case in cases if case["is_same"]}
        for state in {case["state"] for case in cases} - _ENDED_BY_CLOSING:
            self.assertIn((state, "end"), same)
            self.assertIn((state, "SIGKILL"), same)
        for case in cases:
            if case["state"] in _ENDED_BY_CLOSING or case["end"] == "query runs":
                self.assertFalse(case["is_same"], case)

    async def test_drivers(self) -> None:
        """PDO and pgsql work as without a pool, and know no password."""
        postgres = self.start_postgres()
        pool = self.start_pool(postgres)
        said = await self.php(
            """$p = new PDO("pgsql:$place"); $p->setAttribute(PDO::ATTR_ERRMODE, 2);
            $s = $p->prepare('SELECT ?::int + ?::int');
            foreach ([1, 2] as $n) { $s->execute([$n, 40]); echo $s->fetchColumn(), ' '; }
            $p->beginTransaction(); $p->exec("INSERT INTO entries VALUES ('a')"); $p->rollBack();
            $p->beginTransaction(); $p->exec("INSERT INTO entries VALUES ('b')"); $p->commit();
            echo $p->query('SELECT string_agg(text, chr(44)) FROM entries')->fetchColumn(), ' ';
            try { $p->query('SELECT 1/0'); } catch (PDOException $e) { echo $e->getCode(), ' '; }
            $p->pgsqlCopyFromArray('entries', ['c', 'd']);
            echo count($p->pgsqlCopyToArray('entries')), ' ';
            unset($p, $s);
            $c = pg_connect(strtr($place, ';', ' '));
            echo pg_fetch_result(pg_query_params($c, 'SELECT $1 || current_user', ['u ']), 0, 0);
            echo ' ', strlen(pg_fetch_result(pg_query($c, "SELECT repeat('x', 5000000)"), 0, 0));"""
        )
        self.assertEqual("41 42 b 22012 3 u app 5000000", said)
        await self.figure(lambda: (pool.figures.in_use, pool.figures.idle) == (0, 1))
        self.assertEqual(1, pool.figures.opened)

    async def test_many(self) -> None:
        """200 requests at once over 8 connections: all are served, each query is done once."""
        postgres = self.start_postgres()
        pool = self.start_pool(postgres, size=8, wait="30s")
        wrong = await self.php(
            """$children = [];
            for ($i = 0; $i < 200; $i++) {
                if (($child = pcntl_fork()) === 0) {
                    $p = new PDO("pgsql:$place"); $p->setAttribute(PDO::ATTR_ERRMODE, 2);
                    $s = $p->prepare('INSERT INTO entries VALUES (?) RETURNING text');
                    $s->execute([$i]); $ok = $s->fetchColumn() === (string) $i;
                    posix_kill(getmypid(), $ok ? SIGKILL : SIGTERM);
                }
                $children[] = $child;
            }
            foreach ($children as $child) {
                pcntl_waitpid($child, $status);
                if (pcntl_wtermsig($status) !== SIGKILL) echo 'wrong ';
            }""",
            timeout=50,
        )
        self.assertEqual("", wrong)
        self.assertEqual(
            "200|200", postgres.ask("SELECT count(*), count(DISTINCT text) FROM entries")
        )
        self.assertLessEqual(pool.figures.opened, 8)

    async def test_accounts(self) -> None:
        """Nobody gets into the console, nobody is another user, and no password is needed."""
        self.start_pool(self.start_postgres())
        for place, said in (
            ("dbname=shop;user=app", "in"),
            ("dbname=shop;user=app;password=any", "in"),
            ("dbname=pgbouncer;user=app", "not allowed"),
            ("dbname=pgbouncer;user=phpgw_console", "no password"),
            ("dbname=pgbouncer;user=phpgw_console;password=guess", "authentication failed"),
            ("dbname=shop;user=phpgw_console", "rejected"),
            ("dbname=shop;user=postgres", "authentication failed"),
            ("dbname=missing;user=app", "does not exist"),
        ):
            printed = await self.php(
                f"""try {{ new PDO("pgsql:host={self.pool_directory};{place}"); echo 'in'; }}
                catch (PDOException $e) {{ echo $e->getMessage(); }}"""
            )
            self.assertIn(said, printed, place)

    async def test_port(self) -> None:
        """At a port it is the same, and the console is closed there, too."""
        port = free_port()
        self.start_pool(self.start_postgres(), listen=f"127.0.0.1:{port}")
        for place, said in (
            ("dbname=shop;user=app", "in"),
            ("dbname=pgbouncer;user=app", "not allowed"),
            ("dbname=pgbouncer;user=phpgw_console;password=guess", "rejected"),
        ):
            printed = await self.php(
                f"""try {{ new PDO("pgsql:host=127.0.0.1;port={port};{place}"); echo 'in'; }}
                catch (PDOException $e) {{ echo $e->getMessage(); }}"""
            )
            self.assertIn(said, printed, place)

    async def test_one_database(self) -> None:
        """If the URL names a database, there is no other one."""
        postgres = self.start_postgres()
        self.start_pool(postgres, database="shop")
        self.assertEqual("shop", await self.query("SELECT current_database()"))
        printed = await self.php(
            f"""try {{ new PDO("pgsql:host={self.pool_directory};dbname=postgres;user=app"); }}
            catch (PDOException $e) {{ echo $e->getMessage(); }}"""
        )
        self.assertIn("no such database", printed)

    async def test_full(self) -> None:
        """Who has waited too long gets an error."""
        pool = self.start_pool(self.start_postgres(), wait="500ms")
        said = await self.php(
            """$one = new PDO("pgsql:$place"); $one->query('SELECT 1');
            try { $two = new PDO("pgsql:$place"); $two->setAttribute(PDO::ATTR_ERRMODE, 2);
            $two->query('SELECT 1'); echo 'in'; }
            catch (PDOException $e) { echo $e->getMessage(); }"""
        )
        self.assertIn("query_wait_timeout", said)
        self.assertEqual(1, pool.figures.refused["full"])

    async def test_server_dies(self) -> None:
        """PHP notices at once, nothing is asked twice, and a new server is used at once."""
        postgres = self.start_postgres()
        self.start_pool(postgres)
        self.assertEqual("1", await self.query("SELECT 1"))
        dying = Deferred.fromCoroutine(self.query("SELECT pg_sleep(20)"))
        await self.until_runs(postgres, "SELECT pg_sleep(20)")
        await deferToThread(postgres.stop, signal.SIGQUIT)
        self.assertIn("server", await dying)
        self.assertIn("server", await self.query("SELECT 1"))
        postgres.start()
        for _ in range(40):
            if await self.query("SELECT 2") == "2":
                return
            await pause(0.1)
        self.fail("the new server is not used")

    async def test_server_hangs(self) -> None:
        postgres = self.start_postgres()
        self.start_pool(postgres, wait="500ms")
        postgres.signal(signal.SIGSTOP)
        self.addCleanup(postgres.signal, signal.SIGCONT)
        self.assertIn("08006", await self.query("SELECT 1"))

    async def test_pgbouncer_dies(self) -> None:
        """PgBouncer is started again; PHP that connects meanwhile waits for it."""
        pool = self.start_pool(self.start_postgres())
        self.assertEqual("1", await self.query("SELECT 1"))
        for _ in range(3):
            os.kill(self.pgbouncer(pool), signal.SIGKILL)
            self.assertEqual("1", await self.query("SELECT 1"))
        self.assertEqual(3, pool.restarts)

    async def test_pgbouncer_cannot_start(self) -> None:
        """PHP gets an error, and does not wait for long, if PgBouncer ends again and again."""
        pool = self.start_pool(self.start_postgres(), wait="500ms")
        self.assertEqual("1", await self.query("SELECT 1"))
        (self.directory / "secret").write_text("")
        os.kill(self.pgbouncer(pool), signal.SIGKILL)
        while pool.restarts < 4:
            await pause(0.1)
        self.assertIn("08006", await self.query("SELECT 1"))
        self.assertIn("expected a file with a secret in it", pool.figures.problem)
        (self.directory / "secret").write_text(Postgres.password)
        while pool.figures.problem:
            await pause(0.1)
        self.assertEqual("1", await self.query("SELECT 1"))

    async def test_pgbouncer_hangs(self) -> None:
        """It is killed, and another one is started."""
        self.patch(service, "_MAX_SILENCE", 2.0)
        pool = self.start_pool(self.start_postgres())
        self.assertEqual("1", await self.query("SELECT 1"))
        os.kill(self.pgbouncer(pool), signal.SIGSTOP)
        self.assertEqual("1", await self.query("SELECT 1"))
        self.assertEqual(1, pool.restarts)

    async def test_gateway(self) -> None:
        """A gateway has the pool, counts it, and leaves no PgBouncer behind, even if killed."""
        postgres = self.start_postgres()
        pools = self.directory / "pools"
        self.pool_directory = pools / "db"
        secret = self.directory / "secret"
        secret.write_text(Postgres.password)
        secret.chmod(0o600)
        gateway = self.start_gateway(
            *(
                "--php-url",
                "http://127.0.0.1:9/",
                "--pool-directory",
                str(self.directory / "pools"),
            ),
            *("--pool", f"db=postgres+unix://{postgres.socket}?user=app&password-file={secret}"),
        )
        self.assertEqual("1", await self.query("SELECT 1"))
        running = descendants(gateway.pid)
        names = [Path(f"/proc/{each.pid}/comm").read_text().strip() for each in running]
        self.assertEqual(1, names.count("pgbouncer"), names)
        gateway.signal(signal.SIGKILL)
        while still_running(running):
            await pause(0.05)

    async def test_password(self) -> None:
        """A wrong password is said to PHP, and a new one is used after a reload."""
        postgres = self.start_postgres()
        pool = self.start_pool(postgres)
        secret = self.directory / "secret"
        self.assertEqual("1", await self.query("SELECT 1"))
        postgres.ask("ALTER ROLE app PASSWORD 'new'")
        self.assertEqual("1", await self.query("SELECT 1"))
        pool.reload()
        await pause(0.2)
        self.assertIn("password authentication failed", await self.query("SELECT 1"))
        secret.write_text("new")
        pool.reload()
        await pause(1.2)
        self.assertEqual("1", await self.query("SELECT 1"))
        for name in ("cmdline", "environ"):
            told = Path(f"/proc/{self.pgbouncer(pool)}/{name}").read_bytes()
            self.assertNotIn(b"cret", told)
        for path in (pool._directory or Path()).iterdir():
            self.assertEqual(0o600, path.stat().st_mode & 0o777, path)

    async def test_tls(self) -> None:
        """The server's certificate has to be signed by a trusted one, and to have its name."""
        certificate = make_certificate(self.directory)
        certificate.path.chmod(0o644)
        postgres = self.start_postgres(certificate=certificate)
        url = f"postgres://localhost:{postgres.port}"
        pool = self.start_pool_at(url, tls="on", ca_file=certificate.path)
        self.assertEqual(
            "1", await self.query("SELECT ssl::int FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        )
        await pool.stop_within(1)
        (self.pool_directory / ".s.PGSQL.5432").unlink(missing_ok=True)
        self.start_pool_at(url, tls="on")
        self.assertIn("08006", await self.query("SELECT 1"))

    async def test_wrong_name(self) -> None:
        """A certificate for another name is refused, whoever has signed it."""
        certificate = make_certificate(self.directory, names=["other.example"])
        certificate.path.chmod(0o644)
        postgres = self.start_postgres(certificate=certificate)
        url = f"postgres://localhost:{postgres.port}"
        self.start_pool_at(url, tls="on", ca_file=certificate.path)
        self.assertIn("08006", await self.query("SELECT 1"))

    async def test_stop(self) -> None:
        """PHP may finish; then no process, no socket and no file is left."""
        postgres = self.start_postgres()
        pool = self.start_pool(postgres)
        self.assertEqual("1", await self.query("SELECT 1"))
        directory, pid = pool._directory, self.pgbouncer(pool)
        assert directory is not None
        running = Deferred.fromCoroutine(self.query("SELECT pg_sleep(1)"))
        await self.until_runs(postgres, "SELECT pg_sleep(1)")
        await pool.stop_within(5)
        self.assertEqual("", await running)
        self.assertFalse(directory.exists())
        self.assertFalse(Path(f"/proc/{pid}").exists())

    async def until_runs(self, postgres: Postgres, query: str) -> None:
        """Wait until a query runs."""
        activity = f"SELECT count(*) FROM pg_stat_activity WHERE query = '{query}'"
        while postgres.ask(activity) != "1":
            await pause(0.05)

    async def figure(self, holds: Any) -> None:
        """Wait until the figures are as they should be."""
        while not holds():
            await pause(0.05)
