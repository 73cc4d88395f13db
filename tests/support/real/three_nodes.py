"""Three gateways with one Redis, and Nginx before them, as one gateway for end-to-end tests."""

import json
from collections.abc import Sequence
from functools import cached_property
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred

from tests.support.real.curl import curl
from tests.support.real.gateway import Gateway
from tests.support.real.nginx import Nginx
from tests.support.real.php_fpm import PhpFpm
from tests.support.real.process import free_port, wait_until
from tests.support.real.redis import Redis
from tests.support.real.upstreams import SCRIPT, UpstreamTestCase
from tests.support.real.websocket_client import Connection

_COUNT = 3
_numbers = count(1)
_SITE = """
location = /ws {
    proxy_pass http://nodes;
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection Upgrade;
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_read_timeout 1h;
}
"""


class Nodes:
    """Gateways that a test takes for one: what it needs of a :class:`Gateway`.

    Browsers go by turns to each of them, through Nginx. The API is that of the last one, so that
    the first browsers are with others.

    :ivar gateways: the gateways.
    :ivar api_ports: the port of each one's API.
    """

    def __init__(self, gateways: Sequence[Gateway], api_ports: list[int], nginx: Nginx) -> None:
        self.gateways = gateways
        self.api_ports = api_ports
        self._nginx = nginx

    @property
    def port(self) -> int:
        """Return the port of the API."""
        return self.api_ports[-1]

    @property
    def browser_port(self) -> int:
        """Return the port for browsers, which is Nginx's."""
        return self._nginx.port

    @property
    def ws_url(self) -> str:
        """Return the URL for browsers."""
        return f"ws://127.0.0.1:{self.browser_port}/ws"

    @property
    def send_url(self) -> str:
        """Return the URL for pushes."""
        return f"http://127.0.0.1:{self.port}/send"

    @property
    def log(self) -> str:
        """Return what all of them have printed."""
        return "".join(each.log for each in self.gateways)

    def stop(self) -> int | None:
        """Stop all of them; return the first status that is not 0, or 0."""
        statuses = [each.stop() for each in self.gateways]
        return next((status for status in statuses if status), 0)


class ThreeNodesTestCase(UpstreamTestCase):
    """Three gateways and one PHP-FPM, over FastCGI.

    What differs from one gateway, beside numbers that each counts for itself:

    - A client id is unguessable, and begins with that of a node. It is no address, and is never
      used again.
    - Each gateway has ports and UNIX sockets of its own.
    """

    client_id_pattern = random_id_pattern = r"[0-9a-f]{12}\.[0-9a-f]{32}"
    gateway: Any
    php: PhpFpm
    redis: Redis

    @cached_property
    def _names(self) -> dict[Connection, str]:
        return {}

    def start_written(self, *arguments: str, port: int | None = None, **options: Any) -> None:
        self.redis = self._started(Redis(self._directory_for("redis")))
        # As many as the three may ask at once.
        php = self.php = self.start_php(**{"workers": 4 * _COUNT, **options.get("php", {})})
        ports = [free_port() for _ in range(_COUNT)]
        api_ports = [*(free_port() for _ in ports[1:]), port or free_port()]
        nginx = options.get("nginx", {})
        servers = " ".join(f"server 127.0.0.1:{each};" for each in ports)
        front = self.start_nginx(
            http=f"upstream nodes {{ {servers} }} {nginx.get('http', '')}",
            server=_SITE + nginx.get("server", ""),
        )
        script = str(self.document_root / SCRIPT)
        common = (
            *("--php-script", script, "--php-fpm", php.endpoint, "--php-concurrency", "4"),
            *("--bus", self.redis.url, "--trusted-proxy", "127.0.0.1", *arguments),
        )
        gateways = []
        for each, api_port in zip(ports, api_ports, strict=True):
            api = f"tcp:{api_port}:interface=127.0.0.1"
            gateways.append(self.start_gateway(*common, "--api-listen", api, port=each))
        self.gateway = Nodes(gateways, api_ports, front)
        others = _COUNT * (_COUNT - 1)
        wait_until(lambda: self.gateway.log.count("has joined") >= others, 20, "three members")

    def connect(self, url: str, **options: Any) -> Deferred[Connection]:
        """Connect a browser that can be told from the others by its name."""
        name = f"AutobahnPython/{next(_numbers)}."
        connecting = super().connect(url, user_agent=name, **options)

        def note(connection: Connection) -> Connection:
            self._names[connection] = name
            return connection

        return connecting.addCallback(note)

    async def client_id(self, client: Connection) -> str:
        """Return the client id of a connection."""
        url = f"http://127.0.0.1:{self.gateway.port}/clients"
        page = json.loads(await curl(url))
        name = self._names[client]
        [found] = [each["client_id"] for each in page["clients"] if each["user_agent"] == name]
        return str(found)

    async def stats(self) -> dict[str, int]:
        """Return the sums of the gateways' counters."""
        total: dict[str, int] = {}
        for port in self.gateway.api_ports:
            for name, value in json.loads(await curl(f"http://127.0.0.1:{port}/stats")).items():
                if isinstance(value, int):
                    total[name] = total.get(name, 0) + value
        return total
