"""Limits on browsers, with a real gateway: what is over them, and that others do not notice."""

import socket
import time
from contextlib import ExitStack
from itertools import product

from twisted.internet.defer import Deferred, gatherResults

from tests.support.real.curl import curl
from tests.support.real.light_clients import LightClient, LightClients, Refused, frame
from tests.support.real.three_nodes import ThreeNodesTestCase
from tests.support.real.upstreams import ECHO, FastCgiTestCase, UpstreamTestCase
from tests.support.real.waiting import pause
from tests.support.real.websocket_client import Connection, HandshakeFailed

_TEXT, _PING = 1, 9
# The beginning of a message (RFC 6455, section 5.4), and an empty piece of one.
_BEGIN, _PIECE = b"\x01\x80\0\0\0\0", b"\x00\x80\0\0\0\0"


class Limits(UpstreamTestCase):
    """A gateway with limits, and clients of it."""

    def client(self) -> Deferred[Connection]:
        """One of good manners."""
        return self.connect(self.gateway.ws_url)

    def rude_client(self) -> Deferred[LightClient]:
        """One that sends what it likes."""
        crowd = LightClients(self.gateway.browser_port)
        self.addCleanup(crowd.abort)
        return crowd.join()

    async def assert_answered(self, client: Connection) -> None:
        """PHP answers this one, and at once."""
        start = time.monotonic()
        client.send("hello")
        self.assertEqual(await client.receive(), "hello")
        self.assertLess(time.monotonic() - start, 1)

    async def count(self, name: str) -> int:
        """One of the gateway's counters."""
        return (await self.stats())[name]


class CrowdTests(Limits, FastCgiTestCase):
    async def test_too_many_clients(self) -> None:
        self.start(ECHO, "--max-connections", "3")
        clients = await gatherResults([self.client() for _ in range(3)])
        with self.assertRaises(Refused) as raised:
            await self.rude_client()
        self.assertEqual(raised.exception.status, 503)
        self.assertEqual(await self.count("handshakes_refused_full"), 1)
        readiness = f"http://127.0.0.1:{self.gateway.port}/readyz"
        self.assertEqual(
            await curl(readiness), "there is no room for more clients (--max-connections)\n"
        )
        await clients[0].close()
        self.assertEqual(await curl(readiness), "ready\n")
        await self.assert_answered(await self.client())

    async def test_too_many_clients_of_one_address(self) -> None:
        """As a proxy tells it, if that one is trusted."""
        self.start(ECHO, "--max-connections-per-address", "2", "--trusted-proxy", "127.0.0.1")

        def come(address: str) -> Deferred[Connection]:
            return self.connect(self.gateway.ws_url, headers={"X-Forwarded-For": address})

        first, _ = await come("192.0.2.1"), await come("192.0.2.1")
        with self.assertRaises(HandshakeFailed) as raised:
            await come("192.0.2.1")
        self.assertEqual(raised.exception.status, 429)
        await self.assert_answered(await come("192.0.2.2"))
        await first.close()
        await self.assert_answered(await come("192.0.2.1"))

    async def test_silent_connections(self) -> None:
        """However many there are, whoever has something to say is heard."""
        self.start(ECHO, "--max-http-connections", "20")
        before = await self.client()
        with ExitStack() as silent:
            for number in range(200):
                silent.enter_context(socket.create_connection(("127.0.0.1", self.gateway.port)))
                if number % 50 == 0:
                    await self.assert_answered(before)
            for client in (before, await self.client()):
                await self.assert_answered(client)
            fields = ("-d", f"message=hi&client_id=127.0.0.1:{before.local_port}")
            self.assertEqual(await curl(*fields, self.gateway.send_url), "Message sent")
            stats = await self.stats()
        self.assertGreaterEqual(stats["http_connections_dropped"], 180)
        self.assertLessEqual(stats["http_connections_now"], 20)


class FloodTests(Limits):
    async def test_more_than_the_rate(self) -> None:
        """It takes longer, and nothing is lost."""
        self.start(ECHO, "--max-message-rate", "100")
        flood, other = await self.rude_client(), await self.client()
        start = time.monotonic()
        for number in range(250):
            flood.send(str(number))
        await self.assert_answered(other)
        answers = [await flood.receive() for _ in range(250)]
        self.assertEqual(answers, [b"%d" % number for number in range(250)])
        self.assertGreater(time.monotonic() - start, 1.3)
        self.assertGreater(await self.count("rate_pauses"), 5)

    async def test_without_end(self) -> None:
        """Messages, pings, and messages in tiny pieces."""
        self.start(ECHO, "--max-message-rate", "100", "--rate-patience", "1s")
        other = await self.client()
        in_pieces = _BEGIN + _PIECE * 100 + frame(0, b"x")
        for data in (frame(_TEXT, b"x"), frame(_PING, b""), in_pieces):
            flood = await self.rude_client()
            flood.transport.write(data * 5000)
            await self.assert_answered(other)
            self.assertEqual(await flood.ended, 1008)
            await self.assert_answered(other)
        self.assertEqual(await self.count("floods_closed"), 3)
        self.assertLess(await self.count("messages_received"), 1000)

    async def test_a_message_without_end(self) -> None:
        self.start(ECHO, "--max-fragments", "100")
        endless = await self.rude_client()
        endless.transport.write(_BEGIN + _PIECE * 1000)
        self.assertEqual(await endless.ended, 1008)
        self.assertEqual(await self.count("messages_too_fragmented"), 1)

    async def test_too_large(self) -> None:
        self.start(ECHO, "--max-message-size", "1K", "--max-frame-size", "100")
        for length, counter in ((2000, "messages_too_large"), (101, "frames_too_large")):
            client = await self.rude_client()
            client.send("x" * length)
            self.assertEqual(await client.ended, 1009)
            self.assertEqual(await self.count(counter), 1)


class LifetimeTests(Limits):
    async def test_idle(self) -> None:
        self.start(ECHO, "--idle-timeout", "1s", "--ping-interval", "200ms")
        idle, busy = await self.client(), await self.client()
        for _ in range(12):
            await self.assert_answered(busy)
            await pause(0.15)
        closed = await idle.closed
        self.assertEqual((closed.code, closed.was_clean), (1001, True))
        await self.assert_answered(busy)
        self.assertEqual(await self.count("idle_closed"), 1)

    async def test_old(self) -> None:
        """Not before PHP has answered."""
        self.start(
            "<?php if ($_POST['message'] == 'slow') sleep(2); echo $_POST['message'];",
            *("--max-connection-age", "1s"),
        )
        old, busy = await self.client(), await self.client()
        busy.send("slow")
        closed = await old.closed
        self.assertEqual((closed.code, closed.was_clean), (1001, True))
        self.assertEqual(await busy.receive(), "slow")
        self.assertEqual((await busy.closed).code, 1001)
        self.assertEqual(await self.count("old_closed"), 2)


for _tests, _test_case in product(
    (FloodTests, LifetimeTests), (FastCgiTestCase, ThreeNodesTestCase)
):
    _name = f"{_test_case.__name__}{_tests.__name__}"
    globals()[_name] = type(_name, (_tests, _test_case), {"__module__": __name__})
del FloodTests, LifetimeTests, _tests, _test_case
