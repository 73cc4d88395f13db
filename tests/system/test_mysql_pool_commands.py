"""What passes through a pool of sessions at a real MariaDB, and how often it is carried out."""

import signal
import time
from pathlib import Path

from twisted.internet.threads import deferToThread

from phpgw.pools.mysql.commands import QUERY, QUIT, encode_command
from phpgw.pools.mysql.packets import encode_packet
from tests.support.real.command import Ended
from tests.support.real.mysql_pool_test_case import PASSWORD, MySqlPoolTestCase
from tests.support.real.process import wait_until
from tests.support.real.raw_mysql_client import RawMySqlClient

_ID = encode_command(QUERY, b"SELECT CONNECTION_ID()")
_QUIT = encode_command(QUIT)
_INSERT = encode_command(QUERY, b"INSERT INTO t (v) VALUES (1)")
# The number of a prepared statement, before it is known.
_STATEMENT = b"\xde\xad\xbe\xef"
# A packet of the largest length, so that another one follows.
_LARGEST = 0xFFFFFF


class CommandTests(MySqlPoolTestCase):
    def setUp(self) -> None:
        self.start_server()
        self.pool = self.start_pool()

    def client(self, path: Path | None = None, size: int = 0) -> RawMySqlClient:
        """Connect and log in. It must not be in the reactor's thread."""
        user = "app" if path else "any"
        return RawMySqlClient(path or self.socket, user=user, password=PASSWORD, size=size)

    def connection_id(self) -> bytes:
        """Return the server's number of the session that the next user gets."""
        with self.client() as client:
            client.send(_ID)
            row = client.read_packets(5)[3]
            client.send(_QUIT)
            assert client.is_closed()
        return row

    def count(self) -> int:
        """Return how many rows were inserted."""
        return int(self.server.value("SELECT COUNT(*) FROM shop.t"))

    async def test_bytes(self) -> None:
        """Byte by byte, the same comes as without a pool, for text and for binary protocol."""
        value = (41).to_bytes(8, "little")
        execute = encode_command(0x17, _STATEMENT + b"\0\1\0\0\0\0\1\x08\0" + value)
        commands = [
            (encode_command(QUERY, b"SELECT 1, 'two', NULL, REPEAT('x', 300)"), 8),
            (encode_command(QUERY, b"INSERT INTO t (v) VALUES (7)"), 1),
            (encode_command(QUERY, b"SELECT nonsense"), 1),
            (encode_command(0x16, b"SELECT ? + 1"), 5),
            (execute, 5),
            (encode_command(0x19, _STATEMENT), 0),
            (encode_command(0x0E), 1),
            (encode_command(0x02, b"other"), 1),
            (encode_command(QUERY, b"SELECT DATABASE()"), 5),
            (encode_command(QUERY, b"SELECT 1; SELECT 2"), 10),
        ]

        def answers(path: Path | None, size: int) -> list[list[bytes]]:
            self.server.run("TRUNCATE shop.t")
            found, statement = [], _STATEMENT
            with self.client(path, size) as client:
                for command, packets in commands:
                    # The server numbers statements as it likes.
                    client.send(command.replace(_STATEMENT, statement))
                    answer = client.read_packets(packets)
                    if command[4] == 0x16:
                        statement = answer[0][1:5]
                        answer[0] = answer[0][:1] + _STATEMENT + answer[0][5:]
                    found.append(answer)
                client.send(_QUIT)
            return found

        direct = await deferToThread(answers, self.server.socket, 0)
        for size in (0, 1, 3):
            self.assertEqual(direct, await deferToThread(answers, None, size), size)

    async def test_large_commands(self) -> None:
        """Commands of more than 16 MB arrive whole, whatever their second packet begins with."""

        def check() -> None:
            first = self.connection_id()
            for length in (_LARGEST - 1, _LARGEST, _LARGEST + 1, _LARGEST + 17, 2 * _LARGEST):
                sql = b"SELECT LENGTH('"
                filling = b"\1" * (length - 1 - len(sql) - 2)
                payload = bytes((QUERY,)) + sql + filling + b"')"
                self.assertEqual(length, len(payload))
                parts = [payload[n : n + _LARGEST] for n in range(0, length + 1, _LARGEST)]
                with self.client() as client:
                    for number, part in enumerate(parts):
                        client.send(encode_packet(part, number))
                    row = client.read_packets(5)[3]
                    self.assertEqual(b"%d" % len(filling), row[1:])
                    client.send(_QUIT)
                    self.assertTrue(client.is_closed())
                self.assertEqual(first, self.connection_id())

        await deferToThread(check)

    async def test_large_answer(self) -> None:
        """An answer of 40 MB arrives whole, and the session is used again."""
        length = await self.php(
            """
            $sql = "SELECT REPEAT('x', 20000000) AS a, REPEAT('y', 20000000) AS b";
            $row = pdo()->query($sql)->fetch(PDO::FETCH_NUM);
            echo json_encode([strlen($row[0]), strlen($row[1])]);
            """
        )
        self.assertEqual([20_000_000, 20_000_000], length)
        self.assertEqual(1, self.pool.figures.idle)

    async def test_end_with_last_command(self) -> None:
        """A command that is sent together with the end is carried out once."""

        def check() -> None:
            first = self.connection_id()
            for number in range(1, 6):
                with self.client() as client:
                    client.send(_INSERT + _QUIT)
                    wait_until(lambda: self.count() == number, 5, "the row")  # noqa: B023
                self.assertNotEqual(first, first := self.connection_id())

        await deferToThread(check)
        time.sleep(0.1)
        self.assertEqual(5, self.count())

    async def test_pipelined_commands(self) -> None:
        """All of them are carried out once, and what is still to come is nobody else's."""

        def check() -> None:
            for _ in range(20):
                with self.client() as client:
                    client.send(_INSERT * 3)
                    client.read_packets(1)
                    client.send(_QUIT)
                    client.is_closed()
                with self.client() as client:
                    client.send(encode_command(QUERY, b"SELECT 'mine'"))
                    self.assertEqual(b"\4mine", client.read_packets(5)[3])
                    client.send(_QUIT)

        await deferToThread(check)
        self.assertEqual(60, self.count())

    async def test_not_commands(self) -> None:
        """What is no command, or comes behind the end, ends the session."""

        def check() -> None:
            for data in (b"\0\0\0\0", b"\1\0\0\5\x0e", _QUIT + _INSERT, _QUIT + b"\1"):
                before = self.connection_id()
                with self.client() as client:
                    client.send(data)
                    self.assertTrue(client.is_closed())
                self.assertNotEqual(before, self.connection_id(), data)

        await deferToThread(check)
        self.assertEqual(0, self.count())

    async def test_kill(self) -> None:
        """A query whose PHP was killed is killed, too, and has changed nothing."""
        ended = await self._killed("SELECT SLEEP(60)")
        self.assertEqual(-signal.SIGKILL, ended.status)
        await deferToThread(wait_until, lambda: not self._is_busy(), 5, "the end of the query")
        thousand = "WITH RECURSIVE s AS (SELECT 1 n UNION ALL SELECT n + 1 FROM s WHERE n < 1000)"
        self.server.run(f"INSERT INTO shop.u {thousand} SELECT n FROM s")
        await self._killed("INSERT INTO t (v) SELECT COUNT(*) % 7 FROM u a, u b, u c, u d")
        await deferToThread(wait_until, lambda: not self._is_busy(), 5, "the end of the query")
        self.assertEqual(0, self.count())
        figures = self.pool.figures
        self.assertEqual((0, 2), (figures.in_use, figures.closed["unclean"]))

    async def test_no_kill(self) -> None:
        """A query whose PHP has said that it ends is not killed."""

        def check() -> None:
            with self.client() as client:
                insert = b"INSERT INTO t (v) SELECT SLEEP(1)"
                client.send(encode_command(QUERY, insert) + _QUIT)
            wait_until(lambda: self.count() == 1, 10, "the row")

        await deferToThread(check)

    async def test_once(self) -> None:
        """Whenever PHP is killed, what it does is done at most once."""
        for delay in range(0, 100, 5):
            await self.run_php(
                """
                $pdo = pdo();
                $child = 'sleep ' . $argv[1] / 1000 . '; kill -9 ' . getmypid();
                exec("sh -c '$child' > /dev/null 2>&1 &");
                $insert = 'INSERT INTO t (v) VALUES (?)';
                for ($i = 0; $i < 200; $i++) {
                    $pdo->prepare($insert)->execute([1000 * $argv[1] + $i]);
                }
                usleep(1000 * $argv[1] + 200_000);
                """,
                str(delay),
            )
        twice = self.server.run("SELECT v FROM shop.t GROUP BY v HAVING COUNT(*) > 1")
        self.assertEqual([], twice)
        # None of them has a gap: what came before the last one was done.
        gaps = self.server.run(
            "SELECT v DIV 1000 AS p, MAX(v MOD 1000) + 1 - COUNT(*) AS gap FROM shop.t "
            "GROUP BY p HAVING gap <> 0"
        )
        self.assertEqual([], gaps)

    async def _killed(self, sql: str) -> Ended:
        """Run a script that is killed within this statement."""
        return await self.run_php(
            """
            $pdo = pdo();
            exec("sh -c 'sleep 0.3; kill -9 " . getmypid() . "' > /dev/null 2>&1 &");
            $pdo->query($argv[1]);
            """,
            sql,
        )

    def _is_busy(self) -> bool:
        rows = self.server.run("SHOW FULL PROCESSLIST")
        return any(row[1] == "app" and row[4] == "Query" for row in rows)
