"""Pools of connections to an HTTP API: one call in each request of PHP."""

from collections.abc import Sequence

from benchmarks.pool_servers import Api, KeepingNginx, started
from benchmarks.pools import Road, make_case, pool_pids, start_pools
from benchmarks.stage import Stage
from tests.support.certificate import make_certificate


class _ApiRoads:
    """An API, and the roads of PHP's curl to it.

    :ivar port: where it speaks TLS.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._directory = stage.directory / "api"
        self._directory.mkdir()
        self._certificate = make_certificate(self._directory)
        self.port = started(stage, Api(self._directory, self._certificate)).port

    def roads(self, port: int, milliseconds: int) -> Sequence[Road]:
        """Return the roads to the API, which is at this port and so far away."""
        url, trusted = f"https://localhost:{port}/", self._certificate.path
        place = self._directory / f"at-{milliseconds}"
        socket = f"{place}.sock"
        pool = f"api={url}?size=16&ca-file={trusted}&socket={socket}"
        gateway = start_pools(self._stage, f"{place}-gateway", [pool])
        nginx = started(self._stage, KeepingNginx(place, port, self._certificate))
        kept = {"do": "call", "url": "http://localhost/"}
        return [
            Road("PHP's curl, TLS each time", {"do": "call", "url": url, "ca": trusted}),
            Road("pool", {**kept, "socket": socket}, lambda: pool_pids(gateway)),
            Road(
                "Nginx, keepalive",
                {**kept, "socket": nginx.socket},
                lambda: [nginx.pid, *nginx.children()],
            ),
        ]


CASE = make_case(
    "pools-https",
    "Pool of an HTTP API",
    "each request of PHP makes one call with a new handle of curl",
    _ApiRoads,
)
