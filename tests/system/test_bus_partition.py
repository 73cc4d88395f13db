"""Gateways on both sides of a network that is cut, with Sentinels: the minority knows its place."""

from functools import partial

from twisted.trial.unittest import SkipTest

from tests.support.real.cluster import RealClusterTestCase
from tests.support.real.curl import curl
from tests.support.real.divided_network import DividedEngines, FarGateway, may_divide_networks
from tests.support.real.gateway import Gateway
from tests.support.real.light_clients import LightClient, LightClients
from tests.support.real.told import SCRIPT, Told
from tests.support.real.waiting import until

_OPTIONS = ("--events", "connect,disconnect", "--max-connections-per-address", "0")
_CLIENTS = 5


class PartitionTests(RealClusterTestCase):
    """The old master, a Sentinel and a gateway are cut off from all others, but not from PHP."""

    timeout = 180

    async def begin(self) -> None:
        if not may_divide_networks():
            raise SkipTest("to divide a network, it needs root")
        self.engines = DividedEngines(self.directory, self._started)
        self.write({"websocket.php": SCRIPT})
        self.php = self.start_php()
        self.told = Told(self.document_root)
        path = str(self.document_root / "websocket.php")
        upstream = ("--php-script", path, "--php-fpm", self.php.endpoint, "--php-concurrency", "2")
        options = (*upstream, "--bus", self.engines.url, *_OPTIONS)
        self.far = FarGateway(self.engines.network, self._directory_for("gateway"), *options)
        self.addCleanup(self.far.proxy.stop)
        self._started(self.far)
        self.near = [self.start_gateway(*options) for _ in range(2)]
        self.gateways: list[Gateway] = [self.far, *self.near]
        await self.know_each_other()
        self.clients = {each: await self.join(each) for each in self.gateways}
        for each in self.gateways:
            await until(partial(self.reaches, each, 3 * _CLIENTS))

    async def join(self, gateway: Gateway) -> list[LightClient]:
        crowd = LightClients(gateway.port)
        self.addCleanup(crowd.abort)
        return [await crowd.join(f"name=n{number}") for number in range(_CLIENTS)]

    async def send_to_all(self, gateway: Gateway) -> dict[str, object]:
        command = {"op": "send", "to": {"all": True}, "message": "hi"}
        [result] = await self.commands(gateway, command)
        return dict(result)

    async def reaches(self, gateway: Gateway, count: int) -> bool:
        """Return whether a push reaches so many clients, and is known to."""
        return await self.send_to_all(gateway) == {"delivered": count}

    async def test_minority(self) -> None:
        """The majority goes on without it; PHP is told of its clients once, and of nobody else's.

        What it cannot know, it says. When the network is whole again, it is one of them again.
        """
        await self.begin()
        clients = self.clients[self.far]
        clients[0].send("id")
        while b"." not in (client_id := await clients[0].receive()):
            pass
        far_node = client_id.partition(b".")[0].decode()
        self.engines.network.cut()

        async def is_majority() -> bool:
            return all([await self.reaches(each, 2 * _CLIENTS) for each in self.near])

        await until(is_majority)
        self.assertIsNotNone(self.engines.new_master)
        result = await self.send_to_all(self.far)
        self.assertEqual((_CLIENTS, True), (result["delivered"], result["unknown"]), result)
        self.assertEqual(503, (await self.ask(self.far, "/clients"))[0])
        readiness = await curl(f"http://127.0.0.1:{self.far.port}/readyz")
        self.assertIn("the bus takes no data", readiness)

        async def is_told() -> bool:
            return len(self.told.disconnects()) == _CLIENTS

        await until(is_told)
        for client in self.clients[self.far][:2]:
            # PHP knows that it has left; the gateway must not tell it once more.
            client.transport.abortConnection()
        self.engines.network.mend()
        for client in self.clients[self.far][2:]:
            self.assertEqual(1012, await client.ended)
        self.clients[self.far] = await self.join(self.far)
        for each in self.gateways:
            await until(partial(self.reaches, each, 3 * _CLIENTS))
        told = self.told.disconnects()
        self.assertEqual(dict.fromkeys(self.told.connected(far_node), 1), told)
        for client in self.clients[self.near[0]] + self.clients[self.near[1]]:
            self.assertFalse(client.ended.called)
        self.assertEqual("ready\n", await curl(f"http://127.0.0.1:{self.far.port}/readyz"))
        for each in self.gateways:
            self.assertNotIn("Traceback", each.log)
