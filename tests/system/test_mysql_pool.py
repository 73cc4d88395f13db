"""A pool of sessions at a real MariaDB, used by PHP's own drivers."""

from tests.support.real.mysql_pool_test_case import MySqlPoolTestCase


class LeftSessionTests(MySqlPoolTestCase):
    """Each state that PHP can leave, and each end.

    :ivar more_setup: more statements that set up the server.
    :ivar never_clean: states that a reset does not end, which show in the proof, and one that is
        no end of an answer.
    """

    timeout = 300
    more_setup = "CREATE SEQUENCE shop.seq"
    never_clean = frozenset(("role", "profiles", "profiling", "several results"))

    async def test_pdo(self) -> None:
        """Whatever PDO leaves behind, and however it ends, the next user sees nothing of it."""
        await self._assert_clean("pdo")

    async def test_mysqli(self) -> None:
        """The same with mysqli, whose ``multi_query`` turns on what no reset turns off."""
        await self._assert_clean("mysqli")

    async def test_without_database(self) -> None:
        """A session that began without a database is given on only without one."""
        self.start_server()
        self.start_pool(database="")
        source = """
            $mysqli = new mysqli('localhost', 'any', 'thing', '', 0, SOCKET);
            $found = $mysqli->query('SELECT CONNECTION_ID(), DATABASE()')->fetch_row();
            if ($argc > 1) {
                $mysqli->select_db('shop');
            }
            echo json_encode($found);
        """
        first = await self.php(source)
        self.assertIsNone(first[1])
        self.assertEqual(first, await self.php(source, "select"))
        other = await self.php(source)
        self.assertIsNone(other[1])
        self.assertNotEqual(first, other)

    async def _assert_clean(self, driver: str) -> None:
        self.start_server()
        self.server.run(self.more_setup)
        pool = self.start_pool()
        cases = await self.sessions(driver)
        # It ends before there is an answer. PDO has no such queries.
        never_clean = self.never_clean | ({"asynchronous"} if driver == "mysqli" else set())
        self.assertEqual([], [case for case in cases if case["difference"]])
        # It is proven for sessions that were cleaned, and not only for those that were closed.
        for case in cases:
            is_killed = case["end"] in ("SIGKILL", "half an answer")
            if case["state"] == "another user":
                # mysqli ends the session when that is refused.
                continue
            if case["state"] in never_clean or is_killed:
                self.assertFalse(case["is_same"], case)
            elif case["end"] != "half an answer, exit":
                self.assertTrue(case["is_same"], case)
        figures = pool.figures
        held = figures.in_use + figures.idle + figures.opening
        self.assertEqual(figures.opened, figures.closed.total() + held)
        self.assertEqual([["0"]], self.server.run("SELECT COUNT(*) FROM shop.t"))
