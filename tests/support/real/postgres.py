"""A real PostgreSQL."""

import os
import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.certificate import Certificate
from tests.support.real.process import MissingProgram, Process, free_port

# It must not be run by root.
_ACCOUNT = "postgres"
_OPENING = """
CREATE ROLE app LOGIN PASSWORD '{password}';
CREATE DATABASE shop OWNER app;
"""


class Postgres(Process):
    """A PostgreSQL with the role ``app``, which has a password, and its database ``shop``.

    :param certificate: for TLS, on a port of 127.0.0.1.
    :param settings: more lines of its configuration.
    :ivar socket: its UNIX socket.
    :ivar port: the port of 127.0.0.1.
    """

    name = "postgres"
    password = 'it\'s "se\\cret"'

    def __init__(
        self, directory: Path, *, certificate: Certificate | None = None, settings: str = ""
    ) -> None:
        self.port = free_port()
        self.socket = directory / f".s.PGSQL.{self.port}"
        self._data = directory / "data"
        self._certificate = certificate
        self._settings = settings
        command = [str(programs() / "postgres"), "-D", str(self._data)]
        if os.geteuid() == 0:
            # A change of the account ends what ties it to the tests.
            command = ["setpriv", "--pdeathsig", "INT", "--", *command]
        super().__init__(directory, as_account(command))

    def configure(self) -> None:
        if self._data.exists():
            return
        shutil.copytree(_template(), self._data)
        lines = [
            f"unix_socket_directories = '{self.directory}'",
            "listen_addresses = '127.0.0.1'",
            f"port = {self.port}",
            "fsync = off",
            self._settings,
        ]
        if self._certificate is not None:
            for name, path in zip(("crt", "key"), self._certificate, strict=True):
                shutil.copy(path, self._data / f"server.{name}")
                (self._data / f"server.{name}").chmod(0o600)
            lines.append("ssl = on")
        with (self._data / "postgresql.conf").open("a") as file:
            file.write("\n".join(lines) + "\n")
        kind = "hostssl" if self._certificate else "host"
        (self._data / "pg_hba.conf").write_text(
            "local all postgres trust\n"
            "local all all scram-sha-256\n"
            f"{kind} all all 127.0.0.1/32 scram-sha-256\n"
        )
        if os.geteuid() == 0:
            for path in (self.directory, self._data, *self._data.rglob("*")):
                shutil.chown(path, _ACCOUNT, _ACCOUNT)
            # That of the test is for this user alone.
            self.directory.parent.chmod(0o755)

    def is_ready(self) -> bool:
        with suppress(OSError, subprocess.CalledProcessError):
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(self.socket))
            return self.ask("SELECT 1") == "1"
        return False

    def ask(self, query: str, database: str = "shop") -> str:
        """Return what a query of the superuser returns, as lines. It blocks."""
        return subprocess.run(
            [
                *(str(programs() / "psql"), "--host", str(self.directory), "--no-psqlrc"),
                *("--port", str(self.port), "--username", _ACCOUNT, "--quiet", "--no-align"),
                *("--tuples-only", "--dbname", database, "--command", query),
            ],
            check=True,
            capture_output=True,
            text=True,
            timeout=20,
        ).stdout.strip()

    def stop(self, number: int = signal.SIGINT, timeout: float | None = None) -> int | None:
        """Stop it, without waiting for its clients."""
        return super().stop(number, timeout)


def as_account(command: list[str]) -> list[str]:
    """Return a command line that this user may run, or root as another one."""
    if os.geteuid() != 0:
        return command
    change = ["setpriv", f"--reuid={_ACCOUNT}", f"--regid={_ACCOUNT}", "--clear-groups"]
    return [*change, "--", *command]


@cache
def programs() -> Path:
    """Return the directory of the newest PostgreSQL's programs.

    :raises MissingProgram: if none is installed.
    """
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parts[4]))
    if not found:
        raise MissingProgram("PostgreSQL not found: apt-get install postgresql")
    return found[-1]


@cache
def _template() -> Path:
    """Return the files of a new PostgreSQL, which take seconds to make."""
    directory = TemporaryDirectory(prefix="phpgw-postgres-")
    _kept.append(directory)
    path = Path(directory.name)
    if os.geteuid() == 0:
        shutil.chown(path, _ACCOUNT, _ACCOUNT)
    data = path / "data"
    make = [str(programs() / "initdb"), "-D", str(data), "-U", _ACCOUNT, "-A", "trust"]
    subprocess.run(
        as_account([*make, "--no-sync", "--encoding", "UTF8", "--locale", "C"]),
        check=True,
        capture_output=True,
        timeout=60,
    )
    password = Postgres.password.replace("'", "''")
    for statement in _OPENING.format(password=password).strip().splitlines():
        subprocess.run(
            as_account([str(programs() / "postgres"), "--single", "-D", str(data), "postgres"]),
            check=True,
            capture_output=True,
            input=statement.encode() + b"\n",
            timeout=60,
        )
    return data


_kept: list[TemporaryDirectory[str]] = []
