"""A gateway that has no file descriptor left for one client more: the others notice nothing.

PHP is reached over connections that need descriptors, too, and so do PHP's pushes.
"""

from typing import Any

from twisted.internet.defer import gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol

from tests.support.real.light_clients import LightClient, LightClients, Refused
from tests.support.real.measured_gateway import MeasuredGateway
from tests.support.real.process import free_port
from tests.support.real.upstreams import (
    ECHO,
    FastCgiTestCase,
    HttpTestCase,
    OwnPhpFpmTestCase,
    UpstreamTestCase,
)
from tests.support.real.waiting import pause, until

_LIMIT = 128
# A share of one processor that a gateway with nothing to do does not come near.
_IDLE_SHARE = 0.2
# Answers by way of the API, too, over a connection of its own.
_PUSH = """<?php
if ($_POST['message'] !== 'push') { echo $_POST['message']; return; }
$curl = curl_init('http://127.0.0.1:%d/send');
curl_setopt_array($curl, [CURLOPT_RETURNTRANSFER => true, CURLOPT_POSTFIELDS =>
    http_build_query(['client_id' => $_POST['client_id'], 'message' => 'pushed'])]);
echo curl_exec($curl);
"""


class OpenFilesTests(UpstreamTestCase):
    gateway: MeasuredGateway

    def start_gateway(self, *arguments: str, **options: Any) -> MeasuredGateway:
        gateway = MeasuredGateway(
            self._directory_for("gateway"), *arguments, open_files=_LIMIT, **options
        )
        return self._started(gateway)

    def crowd(self) -> LightClients:
        crowd = LightClients(self.gateway.port)
        self.addCleanup(crowd.abort)
        return crowd

    async def fill(self, crowd: LightClients) -> None:
        """Have clients come until one is refused."""
        while True:
            try:
                await crowd.join()
            except Refused as refused:
                self.assertEqual(refused.status, 503)
                break
        self.assertGreater(len(crowd.members), _LIMIT // 8)

    async def assert_answered(self, members: list[LightClient]) -> None:
        """All at once."""
        for member in members:
            member.send(member.id)
        answers = await gatherResults([member.receive() for member in members])
        self.assertEqual(answers, [member.id.encode() for member in members])

    async def test_those_inside_are_served(self) -> None:
        self.start(ECHO)
        crowd = self.crowd()
        await self.fill(crowd)
        await self.assert_answered(crowd.members)
        self.assertEqual((await self.stats())["php_failures"], 0)

    async def test_php_can_push(self) -> None:
        port = free_port()
        self.start(_PUSH % port, port=port)
        crowd = self.crowd()
        await self.fill(crowd)
        for member in crowd.members:
            member.send("push")
        for member in crowd.members:
            both = {await member.receive(), await member.receive()}
            self.assertEqual(both, {b"pushed", b"Message sent"})

    async def test_silent_connections(self) -> None:
        """Hundreds that ask for nothing keep neither clients nor PHP from what they need."""
        self.start(ECHO)
        crowd = self.crowd()
        await self.fill(crowd)
        silent = await self.connect_silently(300)
        await self.assert_answered(crowd.members)
        self.assertEqual((await self.stats())["clients_now"], len(crowd.members))
        self.assertTrue(any(each.transport.connected for each in silent))

    async def connect_silently(self, number: int) -> list[Any]:
        """Connections over which nothing is sent."""
        from twisted.internet import reactor

        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.gateway.port)
        factory = Factory.forProtocol(Protocol)
        silent: list[Any] = [await endpoint.connect(factory) for _ in range(number)]
        for protocol in silent:
            self.addCleanup(protocol.transport.abortConnection)
        return silent

    async def test_there_is_room_again(self) -> None:
        self.start(ECHO)
        crowd = self.crowd()
        await self.fill(crowd)
        some = [crowd.members.pop() for _ in range(10)]
        await gatherResults([member.leave() for member in some])

        async def have_left() -> bool:
            return (await self.stats())["clients_now"] == len(crowd.members)

        await until(have_left)
        await crowd.join_all(len(some))
        await self.assert_answered(crowd.members)

    async def test_nothing_is_kept_busy(self) -> None:
        """Neither the processor nor the log, by those who want in."""
        self.start(ECHO)
        crowd = self.crowd()
        await self.fill(crowd)
        silent = await self.connect_silently(50)
        before = self.gateway.processor_seconds
        await pause(1)
        self.assertLess(self.gateway.processor_seconds - before, _IDLE_SHARE)
        self.assertLess(len(self.gateway.log.splitlines()), 3 * len(crowd.members) + len(silent))
        self.assertNotIn("EMFILE", self.gateway.log)
        self.assertNotIn("Traceback", self.gateway.log)


for _test_case in (HttpTestCase, FastCgiTestCase, OwnPhpFpmTestCase):
    _name = f"{_test_case.__name__}OpenFilesTests"
    globals()[_name] = type(_name, (OpenFilesTests, _test_case), {"__module__": __name__})
del OpenFilesTests, _test_case
