"""A real MariaDB, or a real MySQL."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

from tests.support.real.process import MissingProgram, Process, find, free_port

# What makes a start slow, or keeps what no test needs.
_FAST = {
    "skip-log-bin": None,
    "skip-name-resolve": None,
    "innodb-buffer-pool-size": "16M",
    "innodb-flush-log-at-trx-commit": "0",
    "performance-schema": "OFF",
    "max-allowed-packet": "64M",
}
_FAST_MARIADB = {
    "innodb-log-file-size": "8M",
    "innodb-fast-shutdown": "2",
    "key-buffer-size": "1M",
    "aria-pagecache-buffer-size": "1M",
}
_FAST_MYSQL = {"mysqlx": "OFF", "secure-file-priv": "NULL", "innodb-redo-log-capacity": "8M"}


class DatabaseError(Exception):
    """The server's answer is an error, or it cannot be reached."""


class MariaDb(Process):
    """A MariaDB of its own, in which ``root`` logs in without a password.

    :param config: more of its configuration: ``{"max-connections": "4"}``.
    :ivar socket: its UNIX socket.
    :ivar port: its TCP port of 127.0.0.1, with TLS if the configuration has a certificate.
    """

    name = "mariadbd"
    start_timeout = 40.0

    def __init__(self, directory: Path, *, config: Mapping[str, str] | None = None) -> None:
        self.socket = directory / "db.sock"
        self.port = free_port()
        self._data = directory / "data"
        settings: dict[str, str | None] = {
            "datadir": str(self._data),
            "socket": str(self.socket),
            "port": str(self.port),
            "bind-address": "127.0.0.1",
            "pid-file": str(directory / "db.pid"),
            **_FAST,
            **self._own_settings(),
            **(config or {}),
        }
        super().__init__(directory, [*self._program(), *_options(settings)])

    def configure(self) -> None:
        if not self._data.exists():
            shutil.copytree(self._empty_database(), self._data)
        self.socket.unlink(missing_ok=True)

    def is_ready(self) -> bool:
        with suppress(DatabaseError):
            self.run("SELECT 1")
            return True
        return False

    def run(self, sql: str, *, database: str = "") -> list[list[str]]:
        """Run statements as root, and return the rows of all of them.

        :raises DatabaseError: if there is an error.
        """
        client = find(["mariadb", "mysql"], "mariadb-client")
        done = subprocess.run(
            [
                *(client, "--no-defaults", "--user=root", f"--socket={self.socket}"),
                *("--batch", "--skip-column-names", f"--database={database}"),
            ],
            input=sql.encode(),
            capture_output=True,
            timeout=30,
        )
        if done.returncode:
            raise DatabaseError(done.stderr.decode())
        return [line.split("\t") for line in done.stdout.decode().splitlines()]

    def value(self, sql: str) -> str:
        """Return the one value of a statement."""
        ((value,),) = self.run(sql)
        return value

    def freeze(self) -> None:
        """Stop it, so that it answers nothing (SIGSTOP)."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.signal(signal.SIGCONT)

    def _program(self) -> list[str]:
        owner = [f"--user={pwd.getpwuid(os.getuid()).pw_name}"]
        return [find(["mariadbd"], "mariadb-server-core"), "--no-defaults", *owner]

    def _own_settings(self) -> Mapping[str, str | None]:
        return _FAST_MARIADB

    def _empty_database(self) -> Path:
        return _empty_mariadb()


class MySql(MariaDb):
    """A MySQL of its own, of 8.0 or later.

    Debian has it in no release, so the environment names its program: ``PHPGW_TEST_MYSQLD``.
    """

    name = "mysqld"

    def _program(self) -> list[str]:
        return _mysql_program()

    def _own_settings(self) -> Mapping[str, str | None]:
        return _FAST_MYSQL

    def _empty_database(self) -> Path:
        return _empty_mysql()


def has_mysql() -> bool:
    """Return whether the environment names a MySQL."""
    return "PHPGW_TEST_MYSQLD" in os.environ


def _mysql_program() -> list[str]:
    if not has_mysql():
        raise MissingProgram("PHPGW_TEST_MYSQLD names no MySQL")
    owner = [f"--user={pwd.getpwuid(os.getuid()).pw_name}"]
    return [os.environ["PHPGW_TEST_MYSQLD"], "--no-defaults", *owner]


@cache
def _empty_mariadb() -> Path:
    """Make a data directory, once for all tests of this process."""
    directory = _shared_directory()
    install = find(["mariadb-install-db"], "mariadb-server-core")
    owner = pwd.getpwuid(os.getuid()).pw_name
    command = [
        *(install, "--no-defaults", f"--datadir={directory}", f"--user={owner}"),
        *("--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"),
        *("--innodb-log-file-size=8M", "--innodb-buffer-pool-size=16M"),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return directory


@cache
def _empty_mysql() -> Path:
    directory = _shared_directory()
    options = ["--initialize-insecure", f"--datadir={directory}", "--innodb-redo-log-capacity=8M"]
    subprocess.run([*_mysql_program(), *options], check=True, capture_output=True, timeout=120)
    return directory


def _shared_directory() -> Path:
    """Return a directory that is removed when the test runner ends."""
    # trial's own temporary directory stays; this is some 20 MB.
    directory = tempfile.TemporaryDirectory(prefix="phpgw-db-")
    _shared_directories.append(directory)
    return Path(directory.name) / "data"


# They are removed with their objects.
_shared_directories: list[tempfile.TemporaryDirectory[str]] = []


def _options(settings: Mapping[str, str | None]) -> list[str]:
    return [f"--{key}" if value is None else f"--{key}={value}" for key, value in settings.items()]
