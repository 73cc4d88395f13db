"""Pools of sessions at PostgreSQL: three prepared queries in each request of PHP."""

from collections.abc import Sequence

from benchmarks.pool_servers import started
from benchmarks.pools import Road, make_case, pool_pids, start_pools
from benchmarks.stage import Stage
from tests.support.certificate import make_certificate
from tests.support.real.postgres import Postgres


class _PostgresRoads:
    """A PostgreSQL, and the roads of PDO to it.

    :ivar port: where it speaks TLS.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._directory = stage.directory / "postgres"
        self._directory.mkdir()
        certificate = make_certificate(self._directory)
        self._trusted = certificate.path
        self._server = started(
            stage,
            Postgres(
                self._directory / "server", certificate=certificate, settings="max_connections=300"
            ),
        )
        self._password_file = self._directory / "password"
        self._password_file.write_text(Postgres.password)
        self._password_file.chmod(0o600)
        self.port = self._server.port

    def roads(self, port: int, milliseconds: int) -> Sequence[Road]:
        """Return the roads to the database, which is at this port and so far away."""
        place = self._directory / f"at-{milliseconds}"
        url = (
            f"db=postgres://app@localhost:{port}/shop?tls=on&ca-file={self._trusted}"
            f"&password-file={self._password_file}&size=16&socket={place}/.s.PGSQL.5432"
        )
        gateway = start_pools(self._stage, f"{place}-gateway", [url])
        login = {"do": "query", "user": "app", "password": Postgres.password}
        tls = f"sslmode=verify-full;sslrootcert={self._trusted}"
        direct = {**login, "dsn": f"pgsql:host=127.0.0.1;port={port};dbname=shop;{tls}"}
        near = f"pgsql:host={self._server.socket.parent};port={self._server.port};dbname=shop"
        return [
            *([] if milliseconds else [Road("direct, UNIX socket", {**login, "dsn": near})]),
            Road("direct, TLS", direct),
            Road("persistent PDO, TLS", {**direct, "persistent": 1}),
            Road(
                "pool (PgBouncer), TLS behind it",
                {**login, "dsn": f"pgsql:host={place};dbname=shop"},
                lambda: pool_pids(gateway),
            ),
        ]


CASE = make_case(
    "pools-postgres",
    "Pool of PostgreSQL",
    "each request of PHP connects, prepares and executes 3 queries, and disconnects",
    _PostgresRoads,
)
