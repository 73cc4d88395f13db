"""Events whose scripts use pools: gateway, PHP-FPM, pools' process, MariaDB and Redis, all real."""

import json
import os
import signal
import time
import urllib.request
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.threads import deferToThread

from tests.support.real.gateway import Gateway
from tests.support.real.mariadb import MariaDb
from tests.support.real.mysql_pool_test_case import PASSWORD
from tests.support.real.process_table import children
from tests.support.real.redis import Redis
from tests.support.real.system_test_case import SystemTestCase

_SCRIPT = """<?php
// What PDO warns of is in its exceptions.
error_reporting(E_ALL & ~E_WARNING);
try {
    $db = new PDO('mysql:unix_socket=%(sockets)s/db.sock;dbname=shop', 'any', 'thing');
    $rows = $db->query("SELECT CONNECTION_ID(), @left, SLEEP($_POST[message])");
    $row = $rows->fetch(PDO::FETCH_NUM);
    $db->exec('SET @left = 1');
    $db->beginTransaction();
    $db->exec('INSERT INTO shop.t VALUES (1)');
    $redis = new Redis();
    $redis->connect('%(sockets)s/cache.sock');
    $redis->incr('events');
    $redis->select(3);
    echo json_encode([(int) $row[0], $row[1]]);
} catch (Exception $e) {
    echo json_encode($e->getMessage());
}
"""
_SETUP = f"""
    CREATE DATABASE shop; CREATE TABLE shop.t (id INT);
    CREATE USER app@localhost IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO app@localhost;
"""


class PoolsOfEventsTests(SystemTestCase):
    timeout = 120

    def start_all(self, *options: str, size: int = 2) -> Gateway:
        self.database = self._started(MariaDb(self._directory_for("db")))
        self.database.run(_SETUP)
        self.redis = self._started(Redis(self._directory_for("redis")))
        password = self.directory / "password"
        password.write_text(PASSWORD)
        password.chmod(0o600)
        sockets = self.directory / "sockets"
        script = self.directory / "w.php"
        script.write_text(_SCRIPT % {"sockets": sockets})
        for each in (self.directory, script):
            each.chmod(0o755)
        fields = f"size={size}&wait=20s"
        self.gateway = self.start_gateway(
            *("--php-script", str(script), "--pool-directory", str(sockets)),
            *(
                "--pool",
                f"db=mysql+unix://app@{self.database.socket}?{fields}"
                f"&password-file={password}&database=shop",
            ),
            *("--pool", f"cache=redis+unix://{self.redis.socket}?{fields}", *options),
        )
        return self.gateway

    def pools(self) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.gateway.port}/pools"
        with urllib.request.urlopen(url, timeout=5) as body:
            return {each["name"]: each for each in json.load(body)["pools"]}

    def pools_pid(self) -> int:
        for pid in children(self.gateway.pid):
            if b"phpgw.pools.main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        raise AssertionError("no process of the pools")

    async def ask(self, message: str = "0") -> Any:
        connection = await self.connect(self.gateway.ws_url)
        connection.send(message)
        reply = json.loads(await connection.receive())
        await connection.close()
        return reply

    async def test_events(self) -> None:
        """Many events share two connections, of which each event finds one as new."""
        self.start_all("--php-workers", "16")
        results = await DeferredList(
            [Deferred.fromCoroutine(self.ask("0.01")) for _ in range(60)], fireOnOneErrback=True
        )
        replies = [reply for _, reply in results]
        self.assertTrue(all(isinstance(reply, list) for reply in replies), replies)
        self.assertLessEqual(len({number for number, _ in replies}), 2)
        self.assertEqual({None}, {left for _, left in replies})
        self.assertEqual([["0"]], self.database.run("SELECT COUNT(*) FROM shop.t"))
        self.assertEqual(b"60", self.redis.ask("GET", "events"))
        await self.until_told()
        pools = self.pools()
        # The first ones are used to learn what the server is like.
        self.assertGreaterEqual(pools["db"]["cleaned"], 60)
        self.assertEqual(60, pools["cache"]["cleaned"])
        self.assertEqual(0, sum(pools["db"]["refused"].values()))
        self.assertNotIn(PASSWORD, Path(f"/proc/{self.pools_pid()}/cmdline").read_text())

    async def until_told(self) -> None:
        """Wait until the gateway knows the figures, which it is told each second."""
        await deferToThread(time.sleep, 1.5)

    async def test_stop(self) -> None:
        """The script of an event that runs at a stop has its connections until it ends."""
        gateway = self.start_all("--drain-timeout", "20s")
        connection = await self.connect(gateway.ws_url)
        connection.send("2")
        await deferToThread(time.sleep, 1)
        pools_pid = self.pools_pid()
        gateway.signal(signal.SIGTERM)
        # As a service manager may do.
        os.kill(pools_pid, signal.SIGTERM)
        reply = json.loads(await connection.receive())
        self.assertIsInstance(reply, list, reply)
        self.assertEqual(1001, (await connection.closed).code)
        await deferToThread(gateway.stop)
        self.assertNotIn("has not stopped", gateway.log)
        rows = self.database.run(
            "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'app'"
        )
        self.assertEqual([["0"]], rows)

    async def test_pools_are_killed(self) -> None:
        """Events that use a pool then fail in PHP; browsers stay, and later events are served."""
        gateway = self.start_all()
        connection = await self.connect(gateway.ws_url)
        connection.send("30")
        await deferToThread(time.sleep, 1)
        os.kill(self.pools_pid(), signal.SIGKILL)
        reply = json.loads(await connection.receive())
        self.assertIn("gone away", reply)
        connection.send("0")
        self.assertIsInstance(json.loads(await connection.receive()), list)

    async def test_database_restarts(self) -> None:
        self.start_all()
        await self.ask()
        self.database.restart()
        self.assertIsInstance(await self.ask(), list)

    async def test_workers(self) -> None:
        """The pools belong to the parent, also when the workers are replaced."""
        gateway = self.start_all("--workers", "2")
        self.assertIsInstance(await self.ask(), list)
        pid = self.pools_pid()
        gateway.signal(signal.SIGUSR2)
        self.assertIsInstance(await self.ask(), list)
        await self.until_told()
        self.assertEqual(pid, self.pools_pid())
        self.assertEqual(2, self.pools()["cache"]["cleaned"])
