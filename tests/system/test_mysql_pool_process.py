"""A pool of sessions at a real MariaDB, in the pools' process of a real gateway."""

import json
import os
import signal
import urllib.request
from pathlib import Path
from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.internet.threads import deferToThread

from tests.support.real.gateway import Gateway
from tests.support.real.mysql_pool_test_case import PASSWORD, MySqlPoolTestCase
from tests.support.real.process_table import children
from tests.support.real.waiting import pause

_ID = "echo json_encode(pdo()->query('SELECT CONNECTION_ID()')->fetchColumn());"
_SLOW = "$p = pdo(); echo json_encode(error_of(fn () => $p->query('SELECT SLEEP(30)')));"


def _peak(status: Path) -> int:
    """Return the most memory that a process has used, in KB."""
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1])


class ProcessTests(MySqlPoolTestCase):
    def start_with_gateway(self, *options: str, size: int = 1) -> Gateway:
        self.start_server()
        text = self.pool_text(size=size)
        return self.start_gateway("--php-url", "http://127.0.0.1:9/", "--pool", text, *options)

    def pool(self, gateway: Gateway) -> dict[str, Any]:
        """Return what the gateway tells of the pool."""
        url = f"http://127.0.0.1:{gateway.port}/pools"
        with urllib.request.urlopen(url, timeout=5) as response:
            told = json.load(response)
        (pool,) = told["pools"] if isinstance(told, dict) else told
        found: dict[str, Any] = pool
        return found

    def pools_pid(self, gateway: Gateway) -> int:
        for pid in children(gateway.pid):
            if b"phpgw.pools.main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        raise AssertionError("no process of the pools")

    async def test_sessions(self) -> None:
        """Requests use the same session, one after another."""
        self.start_with_gateway()
        ids = {await self.php(_ID) for _ in range(3)}
        self.assertEqual(1, len(ids))

    async def test_slow_reader(self) -> None:
        """An answer of 270 MB to PHP that reads slowly is in no memory."""
        gateway = self.start_with_gateway()
        await self.php(_ID)
        status = Path(f"/proc/{self.pools_pid(gateway)}/status")
        before = _peak(status)
        length = await self.php(
            """
            $pdo = pdo('shop', [PDO::MYSQL_ATTR_USE_BUFFERED_QUERY => false]);
            $next = 'SELECT 1 AS n UNION ALL SELECT n + 1 FROM s WHERE n < 900';
            $rows = $pdo->query("WITH RECURSIVE s AS ($next) SELECT REPEAT('x', 300000) FROM s");
            usleep(1_000_000);
            for ($length = 0; $row = $rows->fetch(PDO::FETCH_NUM);) {
                $length += strlen($row[0]);
                $length > 30_000_000 || usleep(10_000);
            }
            echo json_encode($length);
            """
        )
        self.assertEqual(270_000_000, length)
        self.assertLess(_peak(status) - before, 20_000)

    async def test_secrets(self) -> None:
        """The password is in no command line, environment, log or answer, also if it is wrong."""
        gateway = self.start_with_gateway("--log-level", "debug")
        await self.php(_ID)
        self.server.run("ALTER USER app@localhost IDENTIFIED BY 'changed'")
        gateway.signal(signal.SIGHUP)
        await pause(0.5)
        code, _, text = await self.php("echo json_encode(error_of(fn () => pdo()));")
        self.assertEqual(1045, code)
        told = [text, gateway.log, json.dumps(self.pool(gateway))]
        for pid in (gateway.pid, self.pools_pid(gateway)):
            for name in ("cmdline", "environ"):
                told.append(Path(f"/proc/{pid}/{name}").read_text(errors="replace"))
        for each in told:
            self.assertNotIn(PASSWORD, each)
        self.assertIn("Access denied", gateway.log)

    async def test_reload(self) -> None:
        """A new password is used after a reload, and PHP notices nothing."""
        gateway = self.start_with_gateway()
        first = await self.php(_ID)
        self.server.run("ALTER USER app@localhost IDENTIFIED BY 'changed'")
        (self.socket.parent / "password").write_text("changed")
        gateway.signal(signal.SIGHUP)
        await pause(0.5)
        self.assertNotEqual(first, await self.php(_ID))

    async def test_killed(self) -> None:
        """PHP in its query is told that the server has gone away; the next one waits a moment."""
        gateway = self.start_with_gateway()
        asking = ensureDeferred(self.php(_SLOW))
        while not any(row[7].startswith("SELECT SLEEP") for row in self._processes()):
            await pause(0.05)
        os.kill(self.pools_pid(gateway), signal.SIGKILL)
        self.assertIn((await asking)[0], (2006, 2013))
        await self.php(_ID)

    async def test_drain(self) -> None:
        """At the end of the gateway PHP may finish, and then is told that the server stops."""
        gateway = self.start_with_gateway("--drain-timeout", "3s", size=2)
        slow = ensureDeferred(self.php(_SLOW))
        quick = ensureDeferred(self.php(_SLOW.replace("SLEEP(30)", "SLEEP(1)")))
        while sum(row[7].startswith("SELECT SLEEP") for row in self._processes()) < 2:
            await pause(0.05)
        await deferToThread(gateway.stop)
        self.assertEqual(0, gateway.status)
        self.assertEqual(0, (await quick)[0])
        self.assertEqual(1053, (await slow)[0])

    def _processes(self) -> list[list[str]]:
        return self.server.run("SHOW FULL PROCESSLIST")
