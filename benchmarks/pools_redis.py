"""Pools of connections to Redis: six commands in each request of PHP."""

from collections.abc import Sequence

from benchmarks.pool_servers import started
from benchmarks.pools import Road, make_case, pool_pids, start_pools
from benchmarks.stage import Stage
from tests.support.certificate import make_certificate
from tests.support.real.process import free_port
from tests.support.real.redis import Redis


class _RedisRoads:
    """A Redis, and the roads of phpredis to it.

    :ivar port: where it speaks TLS.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._directory = stage.directory / "redis-for-php"
        self._directory.mkdir()
        certificate = make_certificate(self._directory)
        self._trusted = certificate.path
        self.port = free_port()
        config = {
            "tls-port": str(self.port),
            "tls-cert-file": str(certificate.path),
            "tls-key-file": str(certificate.key_path),
            "tls-ca-cert-file": str(certificate.path),
            "tls-auth-clients": "no",
            "unixsocketperm": "777",
        }
        self._server = started(stage, Redis(self._directory, config=config))

    def roads(self, port: int, milliseconds: int) -> Sequence[Road]:
        """Return the roads to the server, which is at this port and so far away."""
        place = self._directory / f"at-{milliseconds}"
        socket = f"{place}.sock"
        url = f"cache=rediss://localhost:{port}?ca-file={self._trusted}&size=16&socket={socket}"
        gateway = start_pools(self._stage, f"{place}-gateway", [url])
        plain = {"do": "remember", "port": 0}
        direct = {
            **{"do": "remember", "host": "tls://127.0.0.1", "port": port, "ca": self._trusted},
        }
        return [
            *(
                []
                if milliseconds
                else [Road("direct, UNIX socket", {**plain, "host": self._server.socket})]
            ),
            Road("direct, TLS", direct),
            Road("pconnect, TLS", {**direct, "persistent": 1}),
            Road("pool, TLS behind it", {**plain, "host": socket}, lambda: pool_pids(gateway)),
        ]


CASE = make_case(
    "pools-redis",
    "Pool of Redis",
    "each request of PHP connects, sends 3 SET and 3 GET, and disconnects",
    _RedisRoads,
)
