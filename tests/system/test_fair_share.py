"""One client, and the turns that PHP has for the others, on each upstream."""

from itertools import product

from tests.support.real.upstreams import (
    FastCgiTestCase,
    HttpTestCase,
    OwnPhpFpmTestCase,
    UpstreamTestCase,
)
from tests.support.real.waiting import pause, until
from tests.support.real.websocket_client import Connection

_ENDLESS = """<?php
if ($_POST['message'] !== 'endless') {
    exit($_POST['message']);
}
set_time_limit(0);
while (ob_get_level()) { ob_end_flush(); }
header('Content-Type: application/x-ndjson');
while (true) {
    echo json_encode(['op' => 'send', 'message' => str_repeat('x', 50000)]), "\\n";
    flush();
}
"""
# Streams that are read, since little comes.
_SPARSE = _ENDLESS.replace("50000", "50").replace("    flush();", "    flush(); usleep(100000);")
_SLOW_TO_DECIDE = """<?php
if ($_POST['type'] === 'connect') {
    usleep(200000);
    http_response_code(204);
    exit;
}
echo $_POST['message'];
"""
_STRANGERS = 24


class UnreadStreamTests(UpstreamTestCase):
    async def unread(self) -> Connection:
        """A client that asks for a stream without an end, and reads none of it."""
        client = await self.connect(self.gateway.ws_url)
        client.send("endless")
        client.pause_reading()
        return client

    async def closed(self) -> int:
        return (await self.stats())["slow_streams_closed"]

    async def test_others_wait(self) -> None:
        """They have a turn long before the streams have had their time."""
        self.start(_ENDLESS, "--php-concurrency", "2", "--stream-pause-timeout", "1h")
        streams = [await self.unread(), await self.unread()]
        other = await self.connect(self.gateway.ws_url)
        for number in range(3):
            other.send(str(number))
            self.assertEqual(await other.receive(), str(number))
        self.assertEqual(await self.closed(), 1)
        for stream in streams:
            await stream.abort()
        await until(self.php_is_done)

    async def test_nobody_waits(self) -> None:
        """They have their time, and no more."""
        self.start(_ENDLESS, "--php-concurrency", "2", "--stream-pause-timeout", "1s")
        streams = [await self.unread(), await self.unread()]

        async def both_are_closed() -> bool:
            return await self.closed() == 2

        await until(both_are_closed)
        await until(self.php_is_done)
        stats = await self.stats()
        self.assertEqual((stats["php_failures"], stats["replies_streamed"]), (0, 2))
        for stream in streams:
            stream.resume_reading()
            self.assertEqual((await stream.closed).code, 1008)
        other = await self.connect(self.gateway.ws_url)
        other.send("well?")
        self.assertEqual(await other.receive(), "well?")

    async def test_reads_a_little_now_and_then(self) -> None:
        """That is no way to keep a turn from others either."""
        self.start(_ENDLESS, "--php-concurrency", "2", "--stream-pause-timeout", "1h")
        streams = [await self.unread(), await self.unread()]
        other = await self.connect(self.gateway.ws_url)
        other.send("well?")
        answer = other.receive()
        while not answer.called:
            for stream in streams:
                stream.resume_reading()
            await pause(0.01)
            for stream in streams:
                stream.pause_reading()
            await pause(0.2)
        self.assertEqual(await answer, "well?")
        self.assertGreaterEqual(await self.closed(), 1)


class HealthyStreamTests(UpstreamTestCase):
    async def test_without_an_end(self) -> None:
        """They are read, and hold all turns: others are answered before their time is over."""
        options = ("--php-concurrency", "2", "--waiting-timeout", "4s", "--on-error", "reply")
        self.start(_SPARSE, *options)
        streams = [await self.connect(self.gateway.ws_url) for _ in range(2)]
        for stream in streams:
            stream.send("endless")
            await stream.receive()
        other = await self.connect(self.gateway.ws_url)
        for number in range(3):
            other.send(str(number))
            self.assertEqual(await other.receive(), str(number))
        self.assertIn("its streamed reply was ended for others", self.gateway.log)
        self.assertEqual((await self.stats())["php_requests_now"], 1)
        for stream in streams:
            await stream.abort()
        await until(self.php_is_done)


class CrowdOfStrangersTests(UpstreamTestCase):
    async def test_handshakes(self) -> None:
        """A client that is in has an answer while most of those who want to come in wait."""
        options = ("--events", "connect", "--php-concurrency", "4")
        self.start(_SLOW_TO_DECIDE, *options)
        client = await self.connect(self.gateway.ws_url)
        let_in: list[Connection] = []
        strangers = [
            self.connect(self.gateway.ws_url).addCallback(let_in.append) for _ in range(_STRANGERS)
        ]

        async def they_wait() -> bool:
            return (await self.stats())["events_waiting_now"] > _STRANGERS // 2

        await until(they_wait)
        for number in range(3):
            client.send(str(number))
            self.assertEqual(await client.receive(), str(number))
        self.assertLess(len(let_in), _STRANGERS // 2)
        for stranger in strangers:
            await stranger


for _tests, _test_case in product(
    (UnreadStreamTests, HealthyStreamTests, CrowdOfStrangersTests),
    (HttpTestCase, FastCgiTestCase, OwnPhpFpmTestCase),
):
    _name = f"{_test_case.__name__}{_tests.__name__}"
    globals()[_name] = type(_name, (_tests, _test_case), {"__module__": __name__})
del UnreadStreamTests, HealthyStreamTests, CrowdOfStrangersTests, _tests, _test_case
