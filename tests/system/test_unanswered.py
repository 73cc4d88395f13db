"""Events that PHP does not answer in time, or whose client does not wait for it; each upstream."""

from typing import Any

from twisted.internet.defer import gatherResults

from tests.support.real.three_nodes import ThreeNodesTestCase
from tests.support.real.upstreams import (
    FastCgiTestCase,
    HttpTestCase,
    OwnPhpFpmTestCase,
    UpstreamTestCase,
)
from tests.support.real.waiting import until

# Notes when it begins and when it ends with what takes longer than PHP has.
_SCRIPT = """<?php
if ($_SERVER['REQUEST_METHOD'] !== 'POST') { exit; }
function note(string $what): void {
    file_put_contents(__DIR__ . '/record', "$what\\n", FILE_APPEND | LOCK_EX);
}
$event = $_POST['type'] === 'server' ? $_POST['message'] : $_POST['type'];
note("$event-begins");
if ($event === 'slow') { usleep(1500000); }
note("$event-ends");
echo $event;
"""
_OPTIONS = ("--php-timeout", "500ms", "--on-error", "reply", "--error-reply", "failed")


class OneAtATimeTests(UpstreamTestCase):
    """Where it can be known when a script ends that nobody can stop."""

    async def test_next_event_waits(self) -> None:
        self.start(_SCRIPT, *_OPTIONS, "--events", "disconnect")
        client = await self.connect(self.gateway.ws_url)
        other = await self.connect(self.gateway.ws_url)
        client.send("slow")
        client.send("next")
        self.assertEqual(await client.receive(), "failed")
        other.send("other")
        self.assertEqual(await other.receive(), "other")
        self.assertEqual(await client.receive(), "next")
        client.send("slow")
        self.assertEqual(await client.receive(), "failed")
        await client.close()

        async def is_told() -> bool:
            return self.recorded()[-1] == "disconnect-ends"

        await until(is_told)
        mine = [line for line in self.recorded() if not line.startswith("other")]
        events = ("slow", "next", "slow", "disconnect")
        self.assertEqual(mine, [f"{each}-{what}" for each in events for what in ("begins", "ends")])

    async def test_others_have_workers(self) -> None:
        """Scripts that were given up on hold theirs; others wait for one, and are answered."""
        self.start(_SCRIPT, *_OPTIONS, php={"workers": 5})
        crowd = await gatherResults([self.connect(self.gateway.ws_url) for _ in range(8)])
        visitor = await self.connect(self.gateway.ws_url)
        for client in crowd:
            client.send("slow")
        for client in crowd:
            self.assertEqual(await client.receive(), "failed")
        for _ in range(3):
            visitor.send("other")
            self.assertEqual(await visitor.receive(), "other")
        stats = await self.stats()
        self.assertEqual((stats["breaker_openings"], stats["php_failures"]), (0, len(crowd)))
        self.assertEqual(stats["events_waiting_for_worker_now"], 0)


class ClientThatDoesNotWaitTestCase(UpstreamTestCase):
    php: Any

    async def test_client_that_does_not_wait(self) -> None:
        """There is a line for its message, and one for its disconnect."""
        self.start(_SCRIPT, *_OPTIONS, "--events", "disconnect")
        client = await self.connect(self.gateway.ws_url)
        name = f"client {await self.client_id(client)}"
        self.php.stop()
        client.send("x")

        async def is_tried() -> bool:
            return (await self.stats())["php_requests"] > 0

        # A message that has not been tried is dropped with its client, without a line.
        await until(is_tried)
        await client.close()

        async def is_logged() -> bool:
            log = self.gateway.log
            return f"PHP failed on a message of {name}" in log and f"{name} has left: " in log

        await until(is_logged)


class FastCgiOneAtATimeTests(OneAtATimeTests, FastCgiTestCase):
    pass


class EmbeddedOneAtATimeTests(OneAtATimeTests, OwnPhpFpmTestCase):
    pass


class HttpOneAtATimeTests(OneAtATimeTests, HttpTestCase):
    pass


class ThreeNodesOneAtATimeTests(OneAtATimeTests, ThreeNodesTestCase):
    pass


class FastCgiGoneTests(ClientThatDoesNotWaitTestCase, FastCgiTestCase):
    pass


class HttpGoneTests(ClientThatDoesNotWaitTestCase, HttpTestCase):
    pass


class ThreeNodesGoneTests(ClientThatDoesNotWaitTestCase, ThreeNodesTestCase):
    pass


del OneAtATimeTests, ClientThatDoesNotWaitTestCase
