"""Clients that read nothing while they are sent much: they go, and the others notice nothing."""

import os
from base64 import b64encode
from typing import Any

from twisted.internet.defer import gatherResults

from tests.support.real.light_clients import LightClients
from tests.support.real.measured_gateway import MeasuredGateway
from tests.support.real.upstreams import FastCgiTestCase
from tests.support.real.waiting import until

_SLOW = _FAST = 8
_FLOODS = 12
# A reply that sends the group a few large messages, which do not get smaller by compression.
_LARGE = 256 * 1024
_AT_ONCE = 12
_SCRIPT = """<?php
if ($_POST['message'] === 'join') {
    header('Content-Type: application/vnd.phpgw+json');
    echo '[{"op": "join", "group": "g"}, {"op": "send", "message": "joined"}]';
} elseif (is_numeric($_POST['message'])) {
    header('Content-Type: application/vnd.phpgw+json');
    $large = file_get_contents(__DIR__ . '/large');
    for ($i = 0; $i < %d; $i++) {
        $number = (int) $_POST['message'] + $i;
        $commands[] = ['op' => 'send', 'to' => ['group' => 'g'], 'message' => "$number $large"];
    }
    echo json_encode($commands, JSON_UNESCAPED_SLASHES);
} else {
    echo $_POST['message'];
}
"""


class SlowConsumerTests(FastCgiTestCase):
    gateway: MeasuredGateway
    compression = False

    def start_gateway(self, *arguments: str, **options: Any) -> MeasuredGateway:
        return self._started(MeasuredGateway(self._directory_for("gateway"), *arguments, **options))

    async def begin(self) -> None:
        """Have a group of clients, half of which read nothing from now on."""
        self.write({"large": b64encode(os.urandom(_LARGE * 3 // 4)).decode()})
        self.start(
            _SCRIPT % _AT_ONCE,
            *("--max-outbox", "256K", "--compression", "on" if self.compression else "off"),
        )
        self.crowd = LightClients(self.gateway.port)
        self.addCleanup(self.crowd.abort)
        members = await self.crowd.join_all(_SLOW + _FAST, compression=self.compression)
        for member in members:
            member.send("join")
            self.assertEqual(await member.receive(), b"joined")
        self.slow, self.fast = members[:_SLOW], members[_SLOW:]
        for member in self.slow:
            member.transport.pauseProducing()

    async def flood(self, first: int) -> None:
        """Have all of the group be sent much, and see that those who read get it all."""
        self.fast[0].send(str(first))
        for number in range(first, first + _AT_ONCE):
            for reader in self.fast:
                self.assertEqual((await reader.receive()).split(b" ")[0], b"%d" % number)
        # Meanwhile, the others talk with PHP as ever.
        for reader in self.fast:
            reader.send(reader.id)
        answers = await gatherResults([reader.receive() for reader in self.fast])
        self.assertEqual(answers, [reader.id.encode() for reader in self.fast])

    async def all_slow_are_closed(self) -> bool:
        return (await self.stats())["slow_consumers_closed"] == _SLOW

    async def others_are_left(self) -> bool:
        return (await self.stats())["clients_now"] == _FAST

    async def test_never_reads(self) -> None:
        await self.begin()
        at_first = most = self.gateway.resident
        for number in range(_FLOODS):
            await self.flood(number * _AT_ONCE)
            most = max(most, self.gateway.resident)
        self.assertTrue(await self.all_slow_are_closed())
        # The close frame waits behind what is not read; so they are dropped in the end.
        await until(self.others_are_left)
        pushed = _SLOW * _FLOODS * _AT_ONCE * _LARGE
        self.assertLess(most - at_first, pushed / 8)

    async def test_reads_again(self) -> None:
        """Whoever does so in time is told why, after all that had been sent."""
        await self.begin()
        number = 0
        while not await self.all_slow_are_closed():
            await self.flood(number * _AT_ONCE)
            number += 1
        received: list[list[bytes]] = []
        for member in self.slow:
            received.append([])
            member.on_message = received[-1].append
            member.transport.resumeProducing()
        codes = await gatherResults([member.ended for member in self.slow])
        self.assertEqual(codes, [1008] * _SLOW)
        for messages in received:
            numbers = [int(message.split(b" ")[0]) for message in messages]
            self.assertEqual(numbers, list(range(len(numbers))))


class CompressingTests(SlowConsumerTests):
    """The same, with compressed messages."""

    compression = True
