"""Histories of groups, with a real gateway and a PHP that uses the library."""

import json
import os
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from urllib.parse import quote

from tests.support.real.curl import curl
from tests.support.real.php import LIBRARY
from tests.support.real.process import free_port
from tests.support.real.three_nodes import ThreeNodesTestCase
from tests.support.real.upstreams import SCRIPT, FastCgiTestCase, UpstreamTestCase
from tests.support.real.waiting import until
from tests.system.test_workers import WorkersTestCase, worker_pids

# The browser's message is its position, or empty: it joins, and gets what it has missed.
_SCRIPT = f"""<?php
require {str(LIBRARY)!r};
use Phpgw\\{{Event, Gateway, Position, Reply}};
$event = Event::fromGlobals();
if ($event->message === 'join') {{
    Reply::text('in')->join('chat-1')->emit();
    exit;
}}
$gateway = new Gateway('http://127.0.0.1:PORT');
$history = $gateway->history('chat-1', Position::fromText($event->message));
$reply = [$history->messages, $history->hasGap, (string) $history->position];
Reply::text(json_encode($reply))->emit();
"""


class HistoryTestCase(UpstreamTestCase):
    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.gateway.port}"

    async def push(self, text: str, *fields: str) -> str:
        more = [part for field in fields for part in ("-d", field)]
        return await curl("-d", f"message={text}", "-d", "group=chat-1", *more, f"{self.api}/send")

    async def history(self, query: str = "") -> Any:
        return json.loads(await curl(f"{self.api}/groups/chat-1/history?{query}"))

    def begin(self, *options: str) -> None:
        """Start all; the script knows where the API is."""
        port = free_port()
        self.start(_SCRIPT.replace("PORT", str(port)), *options, port=port)


class HistoryTests(HistoryTestCase):
    async def test_away(self) -> None:
        """A client that was away gets all that it has missed, in order, or is told of a gap."""
        self.begin("--history", "chat-*=3,1m")
        client = await self.connect(self.gateway.ws_url)
        client.send("join")
        self.assertEqual("in", await client.receive())
        start = await self.history("limit=0")
        self.assertEqual("Message sent", await self.push("one"))
        self.assertEqual("one", await client.receive())
        await client.close()
        position = f"{start['offset'] + 1}-{start['epoch']}"
        for text in ("two", "three"):
            # Nobody is there, and yet it is no error.
            self.assertEqual("Message sent", await self.push(text))
        self.assertEqual("Group not found\n", await self.push("typing", "history=off"))
        client = await self.connect(self.gateway.ws_url)
        client.send("join")
        self.assertEqual("in", await client.receive())
        client.send(position)
        missed, has_gap, position = json.loads(str(await client.receive()))
        self.assertEqual((["two", "three"], False), (missed, has_gap))
        for n in range(4):
            await self.push(f"more {n}")
            self.assertEqual(f"more {n}", await client.receive())
        client.send(position)
        missed, has_gap, position = json.loads(str(await client.receive()))
        self.assertEqual((["more 1", "more 2", "more 3"], True), (missed, has_gap))

    async def test_off(self) -> None:
        """Without the option and the field, a push to nobody is told, and nothing is kept."""
        self.begin()
        self.assertEqual("Group not found\n", await self.push("a"))
        self.assertEqual([], (await self.history())["messages"])
        self.assertEqual("Message sent", await self.push("b", "history=1,1m"))
        self.assertEqual("b", (await self.history())["messages"][0]["message"])


class RestartTests(HistoryTestCase, FastCgiTestCase):
    async def test_restart(self) -> None:
        """After a restart, nobody takes an old position for a new one."""
        self.begin("--history", "*=10,1m")
        for text in ("a", "b"):
            await self.push(text)
        before = await self.history()
        self.gateway.stop()
        script = str(self.document_root / SCRIPT)
        upstream = ("--php-script", script, "--php-fpm", self.php.endpoint)
        self.gateway = self.start_gateway(*upstream, "--history", "*=10,1m")
        for text in ("c", "d", "e"):
            await self.push(text)
        page = await self.history(f"after={before['offset']}&epoch={quote(before['epoch'])}")
        texts = [each["message"] for each in page["messages"]]
        self.assertEqual((True, ["c", "d", "e"]), (page["gap"], texts))


class WorkersHistoryTests(WorkersTestCase):
    async def test_shared(self) -> None:
        """Workers share histories, which outlive each of them."""
        await self.start_workers("--history", "*=100,1m")
        api = f"http://127.0.0.1:{self.gateway.port}"
        group = "комната }:b"
        path = f"{api}/groups/{quote(group, safe='')}/history"

        async def push(text: str) -> str:
            form = ("--data-urlencode", f"group={group}", "-d", f"message={text}")
            return await curl("--write-out", "%header{Phpgw-Offset}", *form, f"{api}/send")

        offsets = [await push(f"{n}") for n in range(12)]
        self.assertEqual([f"Message sent{n + 1}" for n in range(12)], offsets)
        start = json.loads(await curl(f"{path}?limit=0"))
        for pid in worker_pids(self.gateway.log):
            os.kill(pid, signal.SIGKILL)
            await self.are_ready(self.gateway.log.count("is ready, process") + 1)
        await until(partial(self._is_kept, push))
        page = json.loads(
            await curl(f"{path}?after={start['offset'] - 2}&epoch={start['epoch']}&limit=3")
        )
        texts = [each["message"] for each in page["messages"]]
        self.assertEqual((False, ["10", "11", "more"]), (page["gap"], texts))

    async def _is_kept(self, push: Callable[[str], Awaitable[str]]) -> bool:
        return (await push("more")).startswith("Message sent")


for _test_case in (FastCgiTestCase, ThreeNodesTestCase):
    _name = f"{_test_case.__name__}{HistoryTests.__name__}"
    globals()[_name] = type(_name, (HistoryTests, _test_case), {"__module__": __name__})
del HistoryTests, _test_case
