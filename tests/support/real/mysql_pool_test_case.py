"""A pool of sessions at a real MariaDB or MySQL, in the process of the test."""

import json
import os
from pathlib import Path
from typing import Any

from phpgw.pools.front import open_socket
from phpgw.pools.mysql.service import MySqlPool
from phpgw.settings.pool_text import parse_pool
from tests.support.real.command import Ended, run
from tests.support.real.mariadb import MariaDb
from tests.support.real.php import php_with
from tests.support.real.system_test_case import SystemTestCase

PASSWORD = "geheim"
_SESSIONS = Path(__file__).parent / "mysql_sessions.php"
_SETUP = f"""
    CREATE DATABASE shop; CREATE DATABASE other;
    CREATE USER app IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO app;
    CREATE USER app@localhost IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO app@localhost;
    CREATE ROLE clerk; GRANT clerk TO app@localhost;
    CREATE TABLE shop.t (id INT PRIMARY KEY AUTO_INCREMENT, v INT);
    CREATE TABLE shop.u (v INT);
"""


class MySqlPoolTestCase(SystemTestCase):
    """Starts servers and pools.

    :ivar server: the server that was started last.
    :ivar socket: the socket of the pool that was started last.
    """

    server_class: type[MariaDb] = MariaDb
    server: MariaDb
    socket: Path

    def start_server(self, **config: str) -> MariaDb:
        """Start a server with a database ``shop``, and a user ``app``."""
        settings = {key.replace("_", "-"): value for key, value in config.items()}
        directory = self._directory_for("db")
        self.server = self._started(self.server_class(directory, config=settings))
        self.server.run(_SETUP)
        return self.server

    def start_pool(self, url: str = "", **fields: object) -> MySqlPool:
        """Start a pool with one connection, unless something else is said.

        :param url: scheme and server; by default, the UNIX socket of the server.
        """
        from twisted.internet import reactor

        config = parse_pool(self.pool_text(url, **fields))
        pool = MySqlPool(reactor, config)
        pool.start(open_socket(config))
        self.addCleanup(pool.stop_within, 0.1)
        return pool

    def pool_text(self, url: str = "", **fields: object) -> str:
        """Return what ``--pool`` is for such a pool, and write its password into a file."""
        directory = self._directory_for("pool")
        directory.mkdir()
        password = directory / "password"
        password.write_text(f"{PASSWORD}\n")
        password.chmod(0o600)
        self.socket = directory / "pool.sock"
        given = {
            **{"size": 1, "wait": "3s", "user": "app", "socket": self.socket},
            **{"password-file": password, "database": "shop"},
            **{key.replace("_", "-"): value for key, value in fields.items()},
        }
        query = "&".join(f"{key}={value}" for key, value in given.items())
        return f"db={url or f'mysql+unix://{self.server.socket}'}?{query}"

    async def sessions(self, driver: str) -> list[dict[str, Any]]:
        """Have a session left in each state and each way, and return what the next user saw."""
        command = [php_with("pdo_mysql", "php-mysql"), str(_SESSIONS), str(self.socket), driver]
        ended = await run(command, timeout=280)
        self.assertEqual((0, ""), (ended.status, ended.stderr))
        return [json.loads(line) for line in ended.stdout.splitlines()]

    async def run_php(self, source: str, *arguments: str) -> Ended:
        """Run a script that may fail. It has functions to connect to the pool."""
        opening = f"""
            error_reporting(-1);
            const SOCKET = {json.dumps(str(self.socket))};
            function pdo(string $database = 'shop', array $options = []): PDO
            {{
                $dsn = 'mysql:unix_socket=' . SOCKET . ";dbname=$database;charset=utf8mb4";
                return new PDO($dsn, 'any', 'thing', $options);
            }}
            function mysqli(string $database = 'shop'): mysqli
            {{
                return new mysqli('localhost', 'any', 'thing', $database, 0, SOCKET);
            }}
            function error_of(callable $call): array
            {{
                try {{
                    $call();
                }} catch (PDOException | mysqli_sql_exception $error) {{
                    $info = $error->errorInfo ?? [$error->getSqlState(), $error->getCode()];
                    return [$info[1], $info[0], $error->getMessage()];
                }}
                return [0, '', ''];
            }}
        """
        settings = ["-d", "display_errors=stderr", "-d", "html_errors=0", "-d", "log_errors=0"]
        command = [php_with("pdo_mysql", "php-mysql"), *settings]
        return await run([*command, "-r", opening + source, "--", *arguments], env=os.environ)

    async def php(self, source: str, *arguments: str) -> Any:
        """Run a script that prints JSON, and return its value."""
        ended = await self.run_php(source, *arguments)
        self.assertEqual((0, ""), (ended.status, ended.stderr))
        return json.loads(ended.stdout)
