"""Pools of sessions at a database: three prepared queries in each request of PHP."""

from collections.abc import Sequence

from benchmarks.pool_servers import started
from benchmarks.pools import Road, make_case, pool_pids, start_pools
from benchmarks.stage import Stage
from tests.support.certificate import make_certificate
from tests.support.real.mariadb import MariaDb

_PASSWORD = "secret"
_OPENING = "".join(
    f"CREATE USER app@'{host}' IDENTIFIED BY '{_PASSWORD}'; GRANT ALL ON shop.* TO app@'{host}';"
    for host in ("localhost", "127.0.0.1")
)


class _MariaDbRoads:
    """A MariaDB, and the roads of PDO to it.

    :ivar port: where it speaks TLS.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._directory = stage.directory / "mariadb"
        self._directory.mkdir()
        certificate = make_certificate(self._directory)
        self._trusted = certificate.path
        config = {
            "ssl-cert": str(certificate.path),
            "ssl-key": str(certificate.key_path),
            "max-connections": "500",
        }
        self._server = started(stage, MariaDb(self._directory, config=config))
        self._server.socket.chmod(0o777)
        self._server.run(f"CREATE DATABASE shop; {_OPENING}")
        self._password_file = self._directory / "password"
        self._password_file.write_text(_PASSWORD)
        self._password_file.chmod(0o600)
        self.port = self._server.port

    def roads(self, port: int, milliseconds: int) -> Sequence[Road]:
        """Return the roads to the database, which is at this port and so far away."""
        place = self._directory / f"at-{milliseconds}"
        socket = f"{place}.sock"
        url = (
            f"db=mysql://app@localhost:{port}?database=shop&tls=on&ca-file={self._trusted}"
            f"&password-file={self._password_file}&size=16&socket={socket}"
        )
        gateway = start_pools(self._stage, f"{place}-gateway", [url])
        login = {"do": "query", "user": "app", "password": _PASSWORD}
        direct = {
            **login,
            "dsn": f"mysql:host=127.0.0.1;port={port};dbname=shop",
            "ca": self._trusted,
        }
        near = {**login, "dsn": f"mysql:unix_socket={self._server.socket};dbname=shop"}
        return [
            *([] if milliseconds else [Road("direct, UNIX socket", near)]),
            Road("direct, TLS", direct),
            Road("persistent PDO, TLS", {**direct, "persistent": 1}),
            Road(
                "pool, TLS behind it",
                {**login, "dsn": f"mysql:unix_socket={socket};dbname=shop"},
                lambda: pool_pids(gateway),
            ),
        ]


CASE = make_case(
    "pools-mysql",
    "Pool of MariaDB",
    "each request of PHP connects, prepares and executes 3 queries, and disconnects",
    _MariaDbRoads,
)
