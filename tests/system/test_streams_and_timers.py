"""Replies that come bit by bit, and what PHP does by the clock, on each upstream.

The same with three gateways behind Nginx.
"""

import json
from itertools import product
from typing import Any

from tests.support.real.three_nodes import ThreeNodesTestCase
from tests.support.real.upstreams import (
    FastCgiTestCase,
    HttpTestCase,
    OwnPhpFpmTestCase,
    UpstreamTestCase,
)
from tests.support.real.waiting import until
from tests.support.real.websocket_client import Connection

# Flushes a line for each word, once the test has laid the file for it; notes what it did.
_STREAM = """<?php
while (ob_get_level()) { ob_end_flush(); }
header('Content-Type: application/x-ndjson');
if ($_POST['message'] === 'after') {
    echo '{"op": "send", "message": "after"}';
    exit;
}
foreach (['one', 'two', 'three'] as $word) {
    while (!file_exists(__DIR__ . '/' . $word)) {
        clearstatcache();
        usleep(10000);
    }
    echo json_encode(['op' => 'send', 'message' => $word]), "\\n";
    flush();
}
"""
_UNBUFFERED = {"server": "fastcgi_buffering off;"}


class StreamTests(UpstreamTestCase):
    async def begin(self, script: str, *arguments: str) -> Connection:
        self.start(script, *arguments, nginx=_UNBUFFERED)
        client = await self.connect(self.gateway.ws_url)
        client.send("x")
        return client

    def let(self, word: str) -> None:
        self.write({word: ""})

    async def test_heard_at_once(self) -> None:
        """Each line is with the client before PHP has the next; the next message waits."""
        client = await self.begin(_STREAM)
        client.send("after")
        for word in ("one", "two", "three"):
            self.let(word)
            self.assertEqual(await client.receive(), word)
        self.assertEqual(await client.receive(), "after")
        self.assertEqual((await self.stats())["replies_streamed"], 2)

    async def test_time_out_counts_silence(self) -> None:
        client = await self.begin(
            "<?php while (ob_get_level()) { ob_end_flush(); }"
            " header('Content-Type: application/x-ndjson');"
            " for ($i = 0; $i < 8; $i++) {"
            " echo json_encode(['op' => 'send', 'message' => (string) $i]), \"\\n\"; flush();"
            " usleep(400000); } sleep(30);",
            *("--php-timeout", "1500ms", "--on-error", "reply", "--error-reply", "silent"),
        )
        for number in range(8):
            self.assertEqual(await client.receive(), str(number))
        self.assertEqual(await client.receive(), "silent")

    async def test_client_that_leaves_ends_it(self) -> None:
        client = await self.begin(
            "<?php while (ob_get_level()) { ob_end_flush(); }"
            " header('Content-Type: application/x-ndjson');"
            " register_shutdown_function(fn () => touch(__DIR__ . '/ended'));"
            " for ($i = 0; $i < 3000; $i++) {"
            " echo json_encode(['op' => 'send', 'message' => 'x']), \"\\n\"; flush();"
            " usleep(10000); }"
        )
        await client.receive()
        await client.close()

        async def ended() -> bool:
            return (self.document_root / "ended").exists()

        await until(ended)
        await until(self.php_is_done)

    async def test_longer_than_the_outbox(self) -> None:
        """A client that takes its time gets a long export whole; PHP waits for it."""
        client = await self.begin(
            "<?php while (ob_get_level()) { ob_end_flush(); }"
            " header('Content-Type: application/x-ndjson');"
            " for ($i = 0; $i < 400; $i++) {"
            " echo json_encode(['op' => 'send', 'message' => str_repeat('x', 50000)]), \"\\n\";"
            " flush(); }"
            " echo json_encode(['op' => 'send', 'message' => 'end']), \"\\n\";",
            *("--max-outbox", "100K"),
        )
        self.assertEqual(await client.receive(), "x" * 50000)
        client.pause_reading()
        before = await self.stats()
        while (now := await self.stats())["messages_sent"] != before["messages_sent"]:
            before = now
        client.resume_reading()
        for _ in range(399):
            self.assertEqual(await client.receive(), "x" * 50000)
        self.assertEqual(await client.receive(), "end")

    async def test_a_line_that_makes_no_sense(self) -> None:
        client = await self.begin(
            "<?php header('Content-Type: application/x-ndjson');"
            ' echo \'{"op":"send","message":"good"}\', "\\n", \'{"op":"fly"}\', "\\n",'
            ' \'{"op":"send","message":"never"}\', "\\n";',
            *("--on-error", "reply", "--error-reply", "failed"),
        )
        self.assertEqual([await client.receive(), await client.receive()], ["good", "failed"])
        client.send("x")
        self.assertEqual([await client.receive(), await client.receive()], ["good", "failed"])

    async def test_not_run_where_the_script_failed(self) -> None:
        client = await self.begin(
            "<?php http_response_code(500); header('Content-Type: application/x-ndjson');"
            ' echo \'{"op":"send","message":"good"}\', "\\n";',
            *("--on-error", "reply", "--error-reply", "failed"),
        )
        self.assertEqual(await client.receive(), "failed")


class TimerTests(UpstreamTestCase):
    async def test_clock_for_a_group(self) -> None:
        self.start(
            "<?php header('Content-Type: application/vnd.phpgw+json');"
            " echo json_encode($_POST['type'] === 'timer'"
            " ? [['op' => 'send', 'to' => ['group' => 'g'], 'message' => json_encode($_POST)]]"
            " : [['op' => 'join', 'group' => 'g']]);",
            *("--timer", "clock=200ms", "--timer", "other=1h"),
        )
        client = await self.connect(self.gateway.ws_url)
        client.send("x")
        for _ in range(2):
            told: dict[str, Any] = json.loads(await client.receive())
            self.assertEqual(told, {"type": "timer", "message": "clock", "client_id": ""})

    async def test_never_twice_at_once(self) -> None:
        self.start(
            # A probe is no run.
            "<?php if ($_SERVER['REQUEST_METHOD'] !== 'POST') { exit; }"
            " $file = fopen(__DIR__ . '/lock', 'c');"
            " if (!flock($file, LOCK_EX | LOCK_NB)) { touch(__DIR__ . '/overlap'); }"
            " usleep(700000); file_put_contents(__DIR__ . '/record', \"run\\n\", FILE_APPEND);",
            *("--timer", "slow=200ms"),
        )

        async def ran() -> bool:
            return len(self.recorded()) >= 3

        await until(ran)
        self.assertFalse((self.document_root / "overlap").exists())
        self.assertGreater((await self.stats())["timer_runs_skipped"], 2)


for _tests, _test_case in product(
    (StreamTests, TimerTests),
    (HttpTestCase, FastCgiTestCase, OwnPhpFpmTestCase, ThreeNodesTestCase),
):
    _name = f"{_test_case.__name__}{_tests.__name__}"
    globals()[_name] = type(_name, (_tests, _test_case), {"__module__": __name__})
del StreamTests, TimerTests, _tests, _test_case
