"""Upstreams of several gateways or workers: each is held by one, and by another when that ends."""

import json
import os
import re
import signal
from typing import Any

from twisted.internet.threads import deferToThread

from tests.support.certificate import make_certificate
from tests.support.real.cluster import RealClusterTestCase
from tests.support.real.curl import curl
from tests.support.real.gateway import Gateway
from tests.support.real.upstreams import FastCgiTestCase
from tests.support.real.waiting import pause, until
from tests.support.real.websocket_server import WebSocketServer
from tests.system.test_workers import worker_pids

_SCRIPT = """<?php
if (!isset($_POST['type'])) { exit; }
file_put_contents(__DIR__ . '/events', json_encode($_POST) . "\\n", FILE_APPEND | LOCK_EX);
"""
_IS_OPEN = "Upstream feed is open"


class LeaseTestCase(RealClusterTestCase):
    timeout = 60

    async def serve(self, **options: Any) -> WebSocketServer:
        self.server = WebSocketServer(**options)
        self.server.start()
        self.addCleanup(self.server.stop)
        return self.server

    def events(self) -> list[dict[str, str]]:
        path = self.document_root / "events"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def fences(self, kind: str) -> list[int]:
        """Return the fences of the events of a kind, in the order in which PHP got them.

        The first one is 1 here; what it really is depends on the time.
        """
        events = self.events()
        before = min((int(each["fence"]) for each in events), default=1) - 1
        return [int(each["fence"]) - before for each in events if each.get("event") == kind]

    async def commands(self, gateway: Gateway, *commands: object) -> Any:
        url = f"http://127.0.0.1:{gateway.port}/commands"
        header = ("-H", "Content-Type: application/json")
        return json.loads(await curl(*header, "--data", json.dumps(commands), url))


class TwoGatewaysTests(LeaseTestCase):
    async def begin(self) -> tuple[Gateway, Gateway]:
        """Start two gateways; return the one that holds the upstream, and the other."""
        server = await self.serve()
        gateways = await self.start(2, "--upstream", f"feed={server.url}", script=_SCRIPT)
        self.first = await server.next()
        while not self.fences("open"):
            await pause(0.1)
        holder, other = sorted(gateways, key=lambda each: _IS_OPEN not in each.log)
        return holder, other

    async def test_killed(self) -> None:
        """The other takes over when the lease has lapsed, with a higher fence."""
        holder, other = await self.begin()
        await pause(4)
        self.assertEqual(1, self.server.handshakes)
        assert holder.pid is not None
        os.kill(holder.pid, signal.SIGKILL)
        second = await self.server.next()
        second.say("hello")
        while len(self.fences("message")) < 1:
            await pause(0.1)
        self.assertEqual(([1, 2], [2]), (self.fences("open"), self.fences("message")))
        self.assertIn(_IS_OPEN, other.log)
        self.assertEqual(2, self.server.handshakes)

    async def test_stopped(self) -> None:
        """A gateway that stops in order tells PHP, and gives its lease up at once."""
        holder, _ = await self.begin()
        await deferToThread(holder.stop)
        await self.server.next()
        while len(self.fences("open")) < 2:
            await pause(0.1)
        self.assertEqual(([1, 2], [1]), (self.fences("open"), self.fences("close")))

    async def test_suspended(self) -> None:
        """A gateway that was stopped for longer ends its connection as soon as it goes on."""
        holder, _ = await self.begin()
        assert holder.pid is not None
        os.kill(holder.pid, signal.SIGSTOP)
        try:
            await self.server.next()
            self.first.say("late")
        finally:
            os.kill(holder.pid, signal.SIGCONT)

        async def has_closed() -> bool:
            return self.first.closed is not None

        await until(has_closed)
        await pause(4)
        self.assertEqual(2, self.server.handshakes)
        self.assertEqual([1, 2], self.fences("open"))
        # What comes from the first one can be told by its fence.
        self.assertLessEqual({*self.fences("message")}, {1})

    async def test_commands_at_either(self) -> None:
        holder, other = await self.begin()
        send = {"op": "send", "to": {"upstream": "feed"}, "message": "x"}
        for gateway in (holder, other):
            self.assertEqual([{"delivered": 1}], await self.commands(gateway, send))
            self.assertEqual((b"x", False), await self.first.messages.get())
        close = {"op": "close", "to": {"upstream": "feed"}, "code": 4000}
        self.assertEqual([{"delivered": 1}], await self.commands(other, close))
        while not self.fences("close"):
            await pause(0.1)
        await pause(4)
        self.assertEqual(1, self.server.handshakes)
        missed = [{"delivered": 0, "error": "upstream is not open"}]
        self.assertEqual(missed, await self.commands(other, send))
        opened = await self.commands(other, {"op": "open", "name": "feed"})
        self.assertEqual([{"delivered": 1}], opened)
        await self.server.next()

    async def test_opened_by_php(self) -> None:
        """What PHP has opened survives the gateway that has opened it."""
        server = await self.serve()
        allowed = ("--allow-upstream", f"ws://localhost:{server.port}")
        networks = ("--allow-upstream", "127.0.0.0/8", "--allow-upstream", "::1")
        first, _ = await self.start(2, *allowed, *networks, script=_SCRIPT)
        opening = {"op": "open", "name": "feed", "url": server.url, "headers": {"X-Key": "k"}}
        self.assertEqual([{"delivered": 1}], await self.commands(first, opening))
        await server.next()
        while not self.fences("open"):
            await pause(0.1)
        assert first.pid is not None
        os.kill(first.pid, signal.SIGKILL)
        connection = await server.next()
        self.assertEqual("k", connection.request.headers["x-key"])
        while len(self.fences("open")) < 2:
            await pause(0.1)
        self.assertEqual([1, 2], self.fences("open"))

    async def test_many(self) -> None:
        """100 upstreams are held by two gateways, each once, and by one when the other is gone."""
        server = await self.serve(certificate=make_certificate(self.directory))
        ca = self.directory / "certificate.pem"
        options = [f"--upstream=n{n}={server.url}#ca-file={ca}" for n in range(100)]
        first, second = await self.start(2, *options, script=_SCRIPT)
        for _ in range(100):
            await server.next()
        await pause(4)
        self.assertEqual(100, server.handshakes)
        count = await self.open_upstreams(first)
        self.assertEqual(100, count + await self.open_upstreams(second))
        assert first.pid is not None
        os.kill(first.pid, signal.SIGKILL)
        for _ in range(count):
            await server.next()
        await pause(1)
        self.assertEqual(100 + count, server.handshakes)

    async def open_upstreams(self, gateway: Gateway) -> int:
        """Return how many upstreams a gateway is connected to."""
        metrics = await curl(f"http://127.0.0.1:{gateway.port}/metrics")
        return len(re.findall(r"^phpgw_upstream_open\{.*\} 1", metrics, re.MULTILINE))


class WorkersTests(FastCgiTestCase):
    timeout = 60

    async def test_worker_is_killed(self) -> None:
        """Two workers have one connection; when the one that has it is killed, the other has it."""
        server = WebSocketServer()
        server.start()
        self.addCleanup(server.stop)
        self.start(_SCRIPT, "--workers", "2", "--upstream", f"feed={server.url}")
        await server.next()
        await pause(4)
        self.assertEqual(1, server.handshakes)
        # Which one it is, nobody knows.
        for pid in worker_pids(self.gateway.log):
            os.kill(pid, signal.SIGKILL)
        await server.next()
        await pause(4)
        self.assertEqual(2, server.handshakes)
