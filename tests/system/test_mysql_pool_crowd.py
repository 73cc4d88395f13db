"""Many requests of PHP-FPM over few sessions at a real MariaDB."""

import json
import signal
from collections import Counter
from typing import Any

from twisted.internet.defer import ensureDeferred

from tests.support.real.curl import curl
from tests.support.real.mysql_pool_test_case import MySqlPoolTestCase
from tests.support.real.waiting import pause

# It looks for what others have left, works a little, leaves something, and ends somehow.
_SCRIPT = """<?php
header('Content-Type: application/json');
$id = (int) $_GET['id'];
try {
    $pdo = new PDO('mysql:unix_socket=%s;dbname=shop;charset=utf8mb4', 'any', 'thing', [
        PDO::ATTR_EMULATE_PREPARES => false,
    ]);
    $value = fn (string $sql) => $pdo->query($sql)->fetchColumn();
    $found = [$value('SELECT @mine'), $value('SELECT @@autocommit'), $value('SELECT DATABASE()')];
    $statement = $pdo->prepare('SELECT ? + 1');
    foreach ([1, 2, 3] as $number) {
        $statement->execute([$id + $number]);
        $found[] = $statement->fetchColumn() - $id;
    }
    $pdo->exec("INSERT INTO t (v) VALUES ($id)");
    $pdo->exec("SET @mine = $id");
    $connection = $value('SELECT CONNECTION_ID()');
    match ($id %% 4) {
        0 => $pdo->beginTransaction() && $pdo->exec("INSERT INTO t (v) VALUES ($id)"),
        1 => $pdo->exec('USE other'),
        2 => $pdo->exec('SET autocommit = 0'),
        3 => $pdo->exec('CREATE TEMPORARY TABLE tt (a INT)'),
    };
    if (isset($_GET['die'])) {
        exec('kill -9 ' . getmypid());
    }
    if (isset($_GET['keep'])) {
        // The session ends only after the answer.
        $GLOBALS['kept'] = $pdo;
    }
    echo json_encode([$id, $found, $connection]), "\\n";
} catch (PDOException $error) {
    echo json_encode([$id, $error->getMessage(), 0]), "\\n";
}
"""
_AS_NEW = [None, 1, "shop", 2, 3, 4]


class CrowdTests(MySqlPoolTestCase):
    timeout = 120

    def start(self, *, workers: int, wait: str) -> None:
        self.start_server()
        self.pool = self.start_pool(size=8, wait=wait)
        script = _SCRIPT % self.socket
        options = {"pool": {"listen.backlog": "1024"}, "workers": workers}
        self.fpm = self.start_php({"work.php": script}, **options)
        self.nginx = self.start_nginx()

    async def requests(self, count: int, query: str = "") -> list[Any]:
        """Send requests at once, and return what they have printed."""
        url = f"{self.nginx.url}/work.php?id=[1-{count}]{query}"
        options = ("--parallel", "--parallel-immediate", "--parallel-max", "300")
        printed = await curl(*options, url, timeout=100)
        lines = [line for line in printed.splitlines() if line.startswith("[")]
        return [json.loads(line) for line in lines]

    async def test_200_over_8(self) -> None:
        """200 requests at once: each is answered, finds all as new, and is carried out once."""
        self.start(workers=200, wait="60s")
        for query in ("", "&keep=1"):
            self.server.run("TRUNCATE shop.t")
            answers = await self.requests(200, query)
            self.assertEqual([*range(1, 201)], sorted(number for number, _, _ in answers))
            self.assertEqual([], [each for each in answers if each[1] != _AS_NEW])
            self.assertLessEqual(len({connection for _, _, connection in answers}), 8)
            rows = self.server.run("SELECT v FROM shop.t")
            self.assertEqual(
                {str(number): 1 for number in range(1, 201)}, Counter(v for (v,) in rows)
            )
        figures = self.pool.figures
        # One for the greeting, before any PHP has come.
        self.assertLessEqual(figures.opened, 9)
        self.assertEqual(0, figures.refused.total())
        used = self.server.run("SHOW GLOBAL STATUS LIKE 'Max_used_connections'")[0][1]
        # Ours, and that of the test.
        self.assertLessEqual(int(used), 9)

    async def test_workers_are_killed(self) -> None:
        """Every second PHP is killed before it ends; the others notice nothing of it."""
        self.start(workers=20, wait="60s")
        for _ in range(5):
            dying = ensureDeferred(self.requests(20, "&die=1"))
            answers = await self.requests(40)
            await dying
            self.assertEqual([], [each for each in answers if each[1] != _AS_NEW])
        while self.pool.figures.in_use:
            await pause(0.05)
        figures = self.pool.figures
        self.assertEqual(figures.opened, figures.closed.total() + figures.idle)
        twice = self.server.run("SELECT COUNT(*) FROM shop.t GROUP BY v HAVING COUNT(*) > 10")
        self.assertEqual([], twice)

    async def test_server_is_restarted(self) -> None:
        """Requests fail while the server is down, and none finds anything of another."""
        self.start(workers=20, wait="1s")
        found = []
        for step in range(6):
            asking = ensureDeferred(self.requests(60))
            await pause(0.05)
            if step == 2:
                self.server.stop(signal.SIGKILL)
            if step == 4:
                self.server.start()
            found += [each[1] for each in await asking]
        self.assertEqual([], [each for each in found if isinstance(each, list) and each != _AS_NEW])
        self.assertTrue(any(isinstance(each, str) for each in found))
        ((_, last, _),) = await self.requests(1)
        self.assertEqual(_AS_NEW, last)
