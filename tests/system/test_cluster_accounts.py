"""Every push is accounted for while things break: what was said of it is what the browsers got."""

import json
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from io import BytesIO
from itertools import count
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.web.client import Agent, FileBodyProducer, HTTPConnectionPool, readBody
from twisted.web.http_headers import Headers

from tests.support.real.cluster import ClusterClient, RealClusterTestCase
from tests.support.real.gateway import Gateway
from tests.support.real.waiting import pause

_CALLERS = 4
_JSON = Headers({"Content-Type": ["application/json"]})


class AccountTests(RealClusterTestCase):
    """Pushes by id and to a group, at one gateway, for clients of three."""

    timeout = 120

    async def begin(self) -> None:
        """Start three gateways with two clients each, all in one group."""
        self.pool = HTTPConnectionPool(reactor)
        self.agent: Any = Agent(reactor, pool=self.pool)
        self.addCleanup(self.pool.closeCachedConnections)
        await self.start(3)
        join = {"op": "join", "group": "g"}
        self.clients = [
            await self.client(gateway, join) for gateway in self.gateways for _ in range(2)
        ]
        self.numbers = count()
        # What was said of each push, and whom it was for.
        self.said: dict[str, tuple[dict[str, Any], str | None]] = {}
        self.is_over = False

    async def run_commands(self, gateway: Gateway, *commands: Any) -> Any:
        """Run a batch, over a kept connection."""
        url = f"http://127.0.0.1:{gateway.port}/commands".encode()
        body = FileBodyProducer(BytesIO(json.dumps(commands).encode()))
        response = await self.agent.request(b"POST", url, _JSON, body)
        return json.loads(await readBody(response))

    async def push_on(self) -> None:
        """Push until all is over, each message once: to clients by turns, and to the group."""
        while not self.is_over:
            number = next(self.numbers)
            client = self.clients[number % 7] if number % 7 < len(self.clients) else None
            to = {"group": "g"} if client is None else {"client": client.id}
            send = {"op": "send", "to": to, "message": str(number)}
            [result] = await self.run_commands(self.gateways[0], send)
            self.said[str(number)] = (result, None if client is None else client.id)

    async def push_during(self, fault: Callable[[], Awaitable[None]]) -> None:
        """Push before, during and after a fault, and see that all is well in the end."""
        callers = gatherResults([Deferred.fromCoroutine(self.push_on()) for _ in range(_CALLERS)])
        await pause(0.5)
        await fault()
        await pause(1)
        self.is_over = True
        await callers
        results = await self.run_commands(
            self.gateways[0], {"op": "send", "to": {"group": "g"}, "message": "end"}
        )
        self.assertEqual([{"delivered": len(self.clients)}], results)
        await self.check()

    async def messages(self, client: ClusterClient) -> list[str]:
        """Return all messages of a client, up to the last one."""
        messages = []
        while (message := str(await client.connection.receive())) != "end":
            messages.append(message)
        return messages

    async def check(self) -> None:
        """Compare what was said with what the browsers got."""
        got: Counter[str] = Counter()
        for client in self.clients:
            messages = await self.messages(client)
            self.assertEqual(len(set(messages)), len(messages), "a message has come twice")
            got.update(messages)
        unknown = 0
        for number, (result, client_id) in self.said.items():
            if result.get("unknown"):
                unknown += 1
                self.assertGreaterEqual(got[number], result["delivered"], (number, result))
            else:
                self.assertEqual(got[number], result["delivered"], (number, result, client_id))
        self.assertGreater(len(self.said), 100)
        self.log.info("{count} pushes, {unknown} unknown", count=len(self.said), unknown=unknown)

    async def test_redis_is_killed(self) -> None:
        await self.begin()

        async def fault() -> None:
            self.redis.stop(signal.SIGKILL)
            await pause(1)
            self.redis.start()
            await pause(3)

        await self.push_during(fault)

    async def test_redis_freezes(self) -> None:
        await self.begin()

        async def fault() -> None:
            self.redis.freeze()
            await pause(3)
            self.redis.thaw()
            await pause(3)

        await self.push_during(fault)

    async def test_connections_are_cut(self) -> None:
        await self.begin()

        async def fault() -> None:
            for _ in range(5):
                self.redis.ask("CLIENT", "KILL", "SKIPME", "yes", "TYPE", "pubsub")
                await pause(0.7)
            await pause(2)

        await self.push_during(fault)

    async def test_gateway_freezes(self) -> None:
        await self.begin()

        async def fault() -> None:
            self.gateways[1].signal(signal.SIGSTOP)
            await pause(3)
            self.gateways[1].signal(signal.SIGCONT)
            await pause(1)

        await self.push_during(fault)
