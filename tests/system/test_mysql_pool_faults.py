"""A pool of sessions at a real MariaDB that refuses, is full, down, frozen or slow."""

import signal
import time
from typing import Any

from twisted.internet.threads import deferToThread

from tests.support.certificate import make_certificate
from tests.support.real.mysql_pool_test_case import PASSWORD, MySqlPoolTestCase
from tests.support.real.waiting import pause

# PHP tells the code of an error while it connects, and not its state.
_CONNECT = "echo json_encode(error_of(fn () => pdo($argv[1] ?? 'shop')));"
_QUERY = "echo json_encode(error_of(fn () => pdo()->query('SELECT 1')->fetchAll()));"


class RefusalTests(MySqlPoolTestCase):
    """PHP gets errors that it knows, without secrets."""

    async def error(self, source: str = _CONNECT, *arguments: str) -> tuple[int, str, str]:
        """Return code, state and text of the error that PHP gets."""
        code, state, text = await self.php(source, *arguments)
        self.assertNotIn(PASSWORD, text)
        return code, state, text

    async def test_wrong_password(self) -> None:
        """PHP learns that the login has failed, and not whose it was."""
        server = self.start_server()
        self.start_pool()
        server.run("ALTER USER app@localhost IDENTIFIED BY 'changed'")
        other = self.start_pool()
        code, _, text = await self.error()
        self.assertEqual(1045, code)
        self.assertNotIn("'app'", text)
        self.assertEqual(2, other.figures.refused["unavailable"])

    async def test_unknown_database(self) -> None:
        self.start_server()
        self.start_pool()
        code, _, text = await self.error(_CONNECT, "nowhere")
        self.assertEqual(1049, code)
        self.assertIn("nowhere", text)

    async def test_reload(self) -> None:
        """A password that has changed is read when the pool is reloaded."""
        server = self.start_server()
        pool = self.start_pool()
        self.assertEqual(0, (await self.error())[0])
        server.run("ALTER USER app@localhost IDENTIFIED BY 'changed'")
        (self.socket.parent / "password").write_text("changed")
        pool.reload()
        self.assertEqual(0, (await self.error())[0])
        self.assertEqual(1, pool.figures.closed["reload"])

    async def test_full(self) -> None:
        """All sessions are in use for longer than PHP may wait."""
        self.start_server()
        pool = self.start_pool(wait="300ms")
        error = await self.php("$first = pdo(); " + _CONNECT)
        self.assertEqual(1040, error[0])
        self.assertEqual(1, pool.figures.refused["full"])

    async def test_server_is_full(self) -> None:
        """The server's own error for too many connections."""
        server = self.start_server(max_connections="10")
        # Who may do everything gets one more.
        server.run("REVOKE ALL ON *.* FROM app@localhost; GRANT ALL ON shop.* TO app@localhost")
        pool = self.start_pool(size=50)
        codes = await self.php(
            """
            for ($i = 0, $kept = $codes = []; $i < 13; $i++) {
                $codes[] = error_of(function () use (&$kept) { $kept[] = pdo(); })[0];
            }
            $kept = [];
            echo json_encode($codes);
            """
        )
        self.assertEqual([0] * 10 + [1040] * 3, sorted(codes))
        self.assertEqual(0, (await self.error(_QUERY))[0])
        self.assertEqual(3, pool.figures.refused["unavailable"])

    async def test_compression(self) -> None:
        """mysqlnd would wait for ever for what nobody has offered."""
        self.start_server()
        self.start_pool()
        began = time.monotonic()
        source = (
            "echo json_encode(error_of(fn () => pdo('shop', [PDO::MYSQL_ATTR_COMPRESS => 1])));"
        )
        code, _, text = await self.error(source)
        self.assertEqual(1043, code)
        self.assertIn("compression", text)
        self.assertLess(time.monotonic() - began, 5)

    async def test_local_files(self) -> None:
        """The server asks PHP for no file, and the session goes on."""
        self.start_server()
        self.start_pool()
        source = """
            $pdo = pdo('shop', [PDO::MYSQL_ATTR_LOCAL_INFILE => 1]);
            $load = "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE u";
            $error = error_of(fn () => $pdo->exec($load));
            echo json_encode([$error[0], $pdo->query('SELECT COUNT(*) FROM u')->fetchColumn()]);
        """
        code, count = await self.php(source)
        self.assertNotEqual(0, code)
        self.assertEqual(0, count)

    async def test_change_of_user(self) -> None:
        self.start_server()
        self.start_pool()
        source = """
            $mysqli = mysqli();
            echo json_encode(error_of(fn () => $mysqli->change_user('root', '', 'other')));
        """
        code, state, _ = await self.error(source)
        self.assertEqual((1047, "08S01"), (code, state))

    async def test_statements_at_login(self) -> None:
        """Where the server runs statements at each login, a session is used once."""
        server = self.start_server(init_connect="SET @greeting = 'hello'")
        server.run("REVOKE ALL ON *.* FROM app@localhost; GRANT ALL ON shop.* TO app@localhost")
        pool = self.start_pool()
        source = "echo json_encode(pdo()->query('SELECT @greeting')->fetchColumn());"
        for _ in range(2):
            self.assertEqual("hello", await self.php(source))
        self.assertEqual(0, pool.figures.idle)


class OddServerTests(MySqlPoolTestCase):
    """Settings of a server that change what it says of each query."""

    async def test_session_is_used_again(self) -> None:
        self.start_server(
            long_query_time="0",
            log_queries_not_using_indexes="ON",
            slow_query_log="ON",
            autocommit="0",
            character_set_server="latin1",
            collation_server="latin1_german1_ci",
            sql_mode="ANSI_QUOTES,NO_BACKSLASH_ESCAPES",
            lower_case_table_names="1",
        )
        pool = self.start_pool(database="Shop")
        source = "pdo('SHOP')->query('SELECT COUNT(*) FROM t')->fetchAll(); echo 1;"
        for _ in range(3):
            await self.php(source)
        figures = pool.figures
        # That of the greeting has the database in other letters.
        self.assertEqual((2, 1), (figures.opened, figures.closed["replaced"]))


class OutageTests(MySqlPoolTestCase):
    """The server is killed, restarted, frozen, or behind a wrong name."""

    async def code(self, source: str = _QUERY) -> int:
        """Return the code of the error that PHP gets."""
        return int((await self.php(source))[0])

    async def test_down(self) -> None:
        """PHP gets its error at once, and a session once the server is there."""
        server = self.start_server()
        pool = self.start_pool()
        self.assertEqual(0, await self.code())
        server.stop(signal.SIGKILL)
        began = time.monotonic()
        self.assertEqual(2002, await self.code())
        self.assertLess(time.monotonic() - began, 2)
        server.start()
        self.assertEqual(0, await self.code())
        figures = pool.figures
        self.assertEqual((2, 1), (figures.opened, figures.closed["lost"]))

    async def test_down_at_start(self) -> None:
        """A pool starts without its server, too."""
        server = self.start_server()
        server.stop()
        self.start_pool()
        self.assertEqual(2002, await self.code())
        server.start()
        self.assertEqual(0, await self.code())

    async def test_restarted(self) -> None:
        """An idle session that the server has closed is given to nobody."""
        server = self.start_server()
        self.start_pool(size=4)
        for _ in range(3):
            self.assertEqual(0, await self.code())
            await deferToThread(server.stop)
            server.start()
            self.assertEqual(0, await self.code())

    async def test_dies_in_use(self) -> None:
        """PHP is told that the server has gone away; nothing is repeated."""
        self.start_server()
        pool = self.start_pool(size=2)
        source = f"""
            $pdo = pdo();
            $kill = 'kill -9 {self.server.pid}';
            $first = error_of(fn () => exec($kill) . usleep(200_000) . $pdo->query('SELECT 1'));
            echo json_encode($first);
        """
        self.assertEqual(2006, await self.code(source))
        self.assertEqual(0, pool.figures.in_use)

    async def test_dies_within_query(self) -> None:
        self.start_server()
        self.start_pool()
        source = f"""
            $pdo = pdo();
            exec("sh -c 'sleep 0.3; kill -9 {self.server.pid}' > /dev/null 2>&1 &");
            echo json_encode(error_of(fn () => $pdo->query('SELECT SLEEP(20)')));
        """
        self.assertIn(await self.code(source), (2006, 2013))

    async def test_killed_session(self) -> None:
        """An administrator kills the session: the error comes through."""
        self.start_server()
        pool = self.start_pool()
        source = """
            $pdo = pdo();
            echo json_encode(error_of(function () use ($pdo) {
                $pdo->query('KILL ' . $pdo->query('SELECT CONNECTION_ID()')->fetchColumn());
                $pdo->query('SELECT 1');
            }));
        """
        self.assertIn(await self.code(source), (1317, 1927, 2006))
        self.assertEqual(0, await self.code())
        self.assertEqual(0, pool.figures.in_use)

    async def test_frozen(self) -> None:
        """Who needs a new session of a server that does not answer gets an error in time."""
        server = self.start_server()
        self.start_pool(wait="500ms")
        server.freeze()
        try:
            began = time.monotonic()
            self.assertEqual(2002, await self.code())
            self.assertLess(time.monotonic() - began, 5)
        finally:
            server.thaw()
        self.assertEqual(0, await self.code())

    async def test_frozen_while_cleaning(self) -> None:
        """A cleaning without an answer keeps nobody waiting for longer than PHP may wait."""
        server = self.start_server()
        pool = self.start_pool(wait="500ms")
        source = f"""
            $pdo = pdo();
            $pdo->query('SELECT 1')->fetchAll();
            exec('kill -STOP {server.pid}');
            unset($pdo);
            {_QUERY}
        """
        try:
            self.assertEqual(1040, await self.code(source))
        finally:
            server.thaw()
        while pool.figures.in_use:
            await pause(0.05)
        self.assertEqual(0, await self.code())

    async def test_stop(self) -> None:
        """PHP that waits for an answer is told that the server shuts down."""
        self.start_server()
        pool = self.start_pool()
        asking = self.php(
            "$pdo = pdo(); echo json_encode(error_of(fn () => $pdo->query('SELECT SLEEP(20)')));"
        )
        from twisted.internet.defer import ensureDeferred

        answer: Any = ensureDeferred(asking)
        while not pool.figures.in_use:
            await pause(0.05)
        await pause(0.3)
        await pool.stop_within(0.1)
        self.assertEqual([1053, "08S01"], (await answer)[:2])


class TlsTests(MySqlPoolTestCase):
    """The server is reached over TLS, or not at all."""

    def start(self, *, host: str, names: tuple[str, ...] = ("localhost",)) -> None:
        directory = self._directory_for("certificate")
        directory.mkdir()
        certificate = make_certificate(directory, names=names)
        server = self.start_server(
            ssl_cert=str(certificate.path),
            ssl_key=str(certificate.key_path),
            require_secure_transport="ON",
        )
        ca = {"ca_file": certificate.path}
        self.pool = self.start_pool(f"mysql://{host}:{server.port}", tls="on", **ca)

    async def test_tls(self) -> None:
        """All of the session is encrypted, and it is used again."""
        self.start(host="localhost")
        source = """
            $value = fn ($sql) => pdo()->query($sql)->fetchColumn();
            $cipher = pdo()->query("SHOW STATUS LIKE 'Ssl_cipher'")->fetch()[1];
            $ids = [$value('SELECT CONNECTION_ID()'), $value('SELECT CONNECTION_ID()')];
            echo json_encode([$cipher, $ids, strlen($value("SELECT REPEAT('x', 9000000)"))]);
        """
        cipher, (first, second), length = await self.php(source)
        self.assertNotEqual("", cipher)
        self.assertEqual(first, second)
        self.assertEqual(9_000_000, length)

    async def test_other_name(self) -> None:
        """A certificate for another name gets neither name nor password."""
        self.start(host="localhost", names=("db.example",))
        code, _, text = await self.php(_CONNECT)
        self.assertEqual(2002, code)
        self.assertIn("TLS: the certificate is for another name", text)

    async def test_not_trusted(self) -> None:
        """A certificate that nobody trusted has signed."""
        self.start(host="localhost")
        self.start_pool(f"mysql://localhost:{self.server.port}", tls="on")
        code, _, text = await self.php(_CONNECT)
        self.assertEqual(2002, code)
        self.assertIn("certificate verify failed", text)


class NoTlsTests(MySqlPoolTestCase):
    async def test_no_tls(self) -> None:
        """A server without TLS is not used without it."""
        server = self.start_server(skip_ssl="1")
        self.start_pool(f"mysql://localhost:{server.port}", tls="on")
        code, _, text = await self.php(_CONNECT)
        self.assertEqual(2002, code)
        self.assertIn("offers no TLS", text)
