"""Several gateways with one Redis and one PHP."""

import json
from itertools import chain
from typing import Any, ClassVar

from tests.support.real.curl import curl
from tests.support.real.gateway import Gateway
from tests.support.real.php_fpm import PhpFpm
from tests.support.real.redis import Redis
from tests.support.real.system_test_case import SystemTestCase
from tests.support.real.waiting import until
from tests.support.real.websocket_client import Connection

# Does as it is told: a message is the list of commands that the script answers with. To ``id``, it
# answers with the client's id.
OBEY = """<?php
if ($_POST['message'] === 'id') { echo $_POST['client_id']; exit; }
header('Content-Type: application/vnd.phpgw+json');
echo $_POST['message'];
"""


class ClusterClient:
    """A browser at one of the gateways.

    :ivar id: its client id.
    """

    def __init__(self, connection: Connection, client_id: str) -> None:
        self.connection = connection
        self.id = client_id

    @property
    def node_id(self) -> str:
        """Return the id of its node."""
        return self.id.partition(".")[0]

    def send(self, *commands: Any) -> None:
        """Have PHP reply with these commands."""
        self.connection.send(json.dumps(commands))

    async def receive(self, count: int = 1) -> list[str | bytes]:
        """Return its next messages."""
        return [await self.connection.receive() for _ in range(count)]


class RealClusterTestCase(SystemTestCase):
    """Gateways of one application.

    :cvar engine_type: the engine between them.
    :cvar redis_config: directives for the engine, beyond the usual ones.
    :ivar redis: the engine between them.
    :ivar gateways: the gateways.
    """

    engine_type: type[Redis] = Redis
    redis_config: ClassVar[dict[str, str]] = {}
    redis: Redis
    php: PhpFpm
    gateways: list[Gateway]

    async def start(self, count: int, *arguments: str, script: str = OBEY) -> list[Gateway]:
        """Start Redis, PHP and gateways, and wait until these know each other.

        :param arguments: options of each gateway.
        """
        directory = self._directory_for("redis")
        self.redis = self._started(self.engine_type(directory, config=self.redis_config))
        self.write({"websocket.php": script})
        self.php = self.start_php()
        self.gateways = []
        for _ in range(count):
            self.add_gateway(*arguments)
        await self.know_each_other()
        return self.gateways

    def add_gateway(self, *arguments: str) -> Gateway:
        """Start one more gateway."""
        path = str(self.document_root / "websocket.php")
        upstream = ("--php-script", path, "--php-fpm", self.php.endpoint)
        gateway = self.start_gateway(*upstream, "--bus", self.redis.url, *arguments)
        self.gateways.append(gateway)
        return gateway

    async def know_each_other(self) -> None:
        """Wait until each gateway has found all others."""

        expected = len(self.gateways) * (len(self.gateways) - 1)

        async def is_done() -> bool:
            return sum(each.log.count("has joined") for each in self.gateways) >= expected

        await until(is_done)

    async def client(self, gateway: Gateway, *commands: Any) -> ClusterClient:
        """Connect a browser, and run these commands for it."""
        connection = await self.connect(gateway.ws_url)
        connection.send("id")
        client = ClusterClient(connection, str(await connection.receive()))
        if commands:
            to = {"client": client.id}
            results = await self.commands(gateway, *({**each, "to": to} for each in commands))
            self.assertEqual([{"delivered": 1}] * len(commands), results)
        return client

    async def push(self, gateway: Gateway, message: str, **target: str) -> tuple[int, str]:
        """Push a message; return the status and the text of the response."""
        fields = {"message": message, **target}
        options = [("--data-urlencode", f"{name}={value}") for name, value in fields.items()]
        return await self.ask(gateway, "/send", *chain(*options))

    async def commands(self, gateway: Gateway, *commands: Any) -> Any:
        """Run a batch, and return its results."""
        text = json.dumps(commands)
        return json.loads((await self.ask(gateway, "/commands", "--data-binary", text))[1])

    async def get(self, gateway: Gateway, path: str) -> Any:
        """Return what the API answers to a question."""
        return json.loads((await self.ask(gateway, path))[1])

    async def ask(self, gateway: Gateway, path: str, *options: str) -> tuple[int, str]:
        """Make a request to the API; return the status and the text of the response."""
        url = f"http://127.0.0.1:{gateway.port}{path}"
        output = await curl("--write-out", "\n%{http_code}", *options, url)
        text, _, status = output.rpartition("\n")
        return int(status), text
