"""Ten thousand clients that are just there, while a few of them talk."""

import json
import resource
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread

from tests.support.real.curl import curl
from tests.support.real.light_clients import LightClient, LightClients
from tests.support.real.measured_gateway import MeasuredGateway
from tests.support.real.upstreams import ECHO, FastCgiTestCase

_CLIENTS = 10_000
_ACTIVE = 20
_MESSAGES = 50
# Bytes of memory: about twice what it takes.
_MOST_FOR_A_CLIENT = 20 * 1024


class CrowdTests(FastCgiTestCase):
    timeout = 120
    gateway: MeasuredGateway

    def start_gateway(self, *arguments: str, **options: Any) -> MeasuredGateway:
        return self._started(MeasuredGateway(self._directory_for("gateway"), *arguments, **options))

    def allow_open_files(self) -> int:
        """Have as many of them as the system allows.

        :returns: how many clients that is enough for, on their own side and on the gateway's.
        """
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        return min(_CLIENTS, hard // 2)

    async def test_ten_thousand(self) -> None:
        clients = self.allow_open_files()
        self.start(ECHO, "--max-connections", "0", "--drain-timeout", "2s")
        before = self.gateway.resident
        crowd = LightClients(self.gateway.port)
        self.addCleanup(crowd.abort)
        members = await crowd.join_all(clients)
        self.assertEqual((await self.stats())["clients_now"], clients)
        each = (self.gateway.resident - before) / clients
        print(f"{clients} clients, {each / 1024:.1f} KB each ", end="", flush=True)
        self.assertLess(each, _MOST_FOR_A_CLIENT)

        active = members[:: clients // _ACTIVE]
        await gatherResults([Deferred.fromCoroutine(self.talk(member)) for member in active])

        url = f"http://127.0.0.1:{self.gateway.port}/send"
        self.assertEqual(await curl("-d", "message=hello&all=1", url), "Message sent")
        heard = await gatherResults([member.receive() for member in members])
        self.assertEqual(set(heard), {b"hello"})

        leaving = members[: clients // 2]
        codes = await gatherResults([member.leave() for member in leaving])
        self.assertEqual(set(codes), {1000})
        staying = gatherResults([member.ended for member in members[clients // 2 :]])
        status = await deferToThread(self.gateway.stop)
        self.assertEqual(status, 0)
        self.assertEqual(set(await staying), {1001})

    async def test_batch_for_all(self) -> None:
        """A million changes take seconds; whoever speaks meanwhile has its answers at once."""
        count, commands = 1000, 1000
        self.start(ECHO, "--max-connections", "0", "--drain-timeout", "2s")
        crowd = LightClients(self.gateway.port)
        self.addCleanup(crowd.abort)
        members = await crowd.join_all(count)
        batch = Path(self.mktemp())
        batch.write_text(
            json.dumps(
                [{"op": "state", "to": {"all": True}, "state": f"{n}"} for n in range(commands)]
            )
        )
        url = f"http://127.0.0.1:{self.gateway.port}/commands"
        done = curl("--data-binary", f"@{batch}", url)
        await self.talk(members[0])
        self.assertFalse(done.called)
        results = json.loads(await done)
        self.assertEqual(results, [{"delivered": count}] * commands)

    async def talk(self, member: LightClient) -> None:
        for number in range(_MESSAGES):
            member.send(f"{member.id} {number}")
            self.assertEqual(await member.receive(), f"{member.id} {number}".encode())
