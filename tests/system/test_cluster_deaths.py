"""Gateways of a cluster that die, or seem to: PHP is told of the end of each client, once."""

import json
import os
import signal
import time
from collections import Counter
from itertools import pairwise
from typing import ClassVar

from twisted.internet.defer import DeferredList, gatherResults
from twisted.internet.threads import deferToThread

from tests.support.real.cluster import RealClusterTestCase
from tests.support.real.gateway import Gateway
from tests.support.real.light_clients import LightClient, LightClients
from tests.support.real.told import SCRIPT, Told
from tests.support.real.waiting import pause, until
from tests.system.test_workers import worker_pids

_OPTIONS = ("--events", "connect,disconnect", "--max-connections-per-address", "0")
# Seconds of a lease, within which nobody is declared dead, and by when it is noticed.
_LEASE, _NOTICED = 10, 14
# How many disconnects PHP is told of at once, by a gateway, at most.
_AT_ONCE = 4


class DeathTestCase(RealClusterTestCase):
    timeout = 120

    async def begin(self, count: int) -> list[Gateway]:
        """Start gateways whose PHP writes down what it is told."""
        gateways = await self.start(count, *_OPTIONS, script=SCRIPT)
        self.told = Told(self.document_root)
        return gateways

    async def join(self, gateway: Gateway, count: int) -> list[LightClient]:
        """Connect clients to a gateway."""
        crowd = LightClients(gateway.port)
        self.addCleanup(crowd.abort)
        return list(await gatherResults([crowd.join(f"name=n{number}") for number in range(count)]))

    async def node_id(self, client: LightClient) -> str:
        """Return the id of a client's node."""
        client.send("id")
        return (await client.receive()).partition(b".")[0].decode()

    async def until_told(self, clients: set[str]) -> None:
        """Wait until PHP was told that these have left, and a bit longer."""

        async def is_done() -> bool:
            return clients <= self.told.disconnects().keys()

        await until(is_done)
        await pause(1)

    def assert_each_once(self, clients: set[str]) -> None:
        """PHP was told of the end of each of these, once, and of nobody else's."""
        self.assertEqual(Counter(clients), self.told.disconnects())

    async def members(self, gateway: Gateway) -> None:
        """Wait until a gateway has a second lease."""
        await until(lambda: self._is_fenced(gateway))

    async def _is_fenced(self, gateway: Gateway) -> bool:
        return "goes on as node" in gateway.log

    async def is_clean_of(self, node: str) -> None:
        """Wait until nothing of a gateway is left in Redis, and nothing that was adopted."""

        async def is_done() -> bool:
            keys = self.redis.ask("KEYS", "*")
            assert isinstance(keys, list)
            return not [key for key in keys if node.encode() in key or b"adopted:" in key]

        await until(is_done)

    async def is_clean(self) -> None:
        """Wait until Redis has no record of a client, and no ledger of a dead gateway."""

        async def is_done() -> bool:
            keys = self.redis.ask("KEYS", "*")
            assert isinstance(keys, list)
            return not [key for key in keys if b"left:" in key or b"adopted:" in key]

        await until(is_done)
        self.assertEqual(0, self.redis.ask("EXISTS", "{phpgw:1}:orphans"))


class KilledTests(DeathTestCase):
    async def test_killed(self) -> None:
        """The others tell PHP once, after the lease, with the user, the query and code 1006."""
        one, two, three = await self.begin(3)
        dead = await self.join(one, 200)
        stays = await self.join(two, 5)
        node = await self.node_id(dead[0])
        await pause(1)
        begun = time.monotonic()
        one.stop(signal.SIGKILL)
        clients = self.told.connected(node)
        self.assertEqual(200, len(clients))
        await self.until_told(clients)
        self.assertTrue(_LEASE - 3 < time.monotonic() - begun < _NOTICED, "too soon, or too late")
        self.assert_each_once(clients)
        for event in self.told.events("disconnect"):
            self.assertEqual(("1006", f"user-of-{event.name}"), (event.code, event.user))
            self.assertRegex(event.name, "^n[0-9]+$")
        self.assertIn("PHP is told of", two.log + three.log)
        self.assertNotIn("Traceback", two.log + three.log)
        for client in stays:
            await client.leave()
        await self.is_clean()

    async def test_killed_while_it_tells(self) -> None:
        """Those that PHP was told of are not told again; those that wait are told once.

        Only what PHP worked on when the gateway died can come twice, with the same id.
        """
        one, *_ = await self.begin(3)
        dead = await self.join(one, 200)
        node = await self.node_id(dead[0])
        clients = self.told.connected(node)
        self.told.pause(20_000)
        for client in dead:
            client.transport.abortConnection()

        async def is_begun() -> bool:
            return len(self.told.disconnects()) >= 40

        await until(is_begun)
        one.stop(signal.SIGKILL)
        self.assertLess(len(self.told.disconnects()), 190)
        await self.until_told(clients)
        told = self.told.disconnects()
        self.assertEqual(clients, told.keys())
        twice = [client for client, count in told.items() if count > 1]
        self.assertLessEqual(len(twice), _AT_ONCE)
        ids = {(event.client_id, event.event_id) for event in self.told.events("disconnect")}
        self.assertEqual(200, len(ids))
        await self.is_clean()

    async def test_killed_before_and_after_the_answer(self) -> None:
        """A disconnect that PHP has answered is settled; one that it works on is told again."""
        one, _ = await self.begin(2)
        dead = await self.join(one, 3)
        node = await self.node_id(dead[0])
        clients = self.told.connected(node)
        await dead[0].leave()

        async def is_told() -> bool:
            return len(self.told.disconnects()) == 1

        await until(is_told)
        [answered] = self.told.disconnects()
        await pause(0.2)
        self.told.hold()
        dead[1].transport.abortConnection()
        await pause(0.5)
        one.stop(signal.SIGKILL)
        self.told.release()
        await self.until_told(clients)
        told = self.told.disconnects()
        self.assertEqual([1, 1, 2], sorted(told.values()))
        self.assertEqual(1, told[answered])
        await self.is_clean()

    async def test_all_but_one(self) -> None:
        """The one that is left tells PHP of all."""
        one, two, three = await self.begin(3)
        for gateway in (one, two):
            await self.join(gateway, 100)
        clients = self.told.connected()
        await pause(1)
        one.stop(signal.SIGKILL)
        two.stop(signal.SIGKILL)
        await self.until_told(clients)
        self.assert_each_once(clients)
        await self.is_clean()
        self.assertIn("has left", three.log)

    async def test_survivor_is_killed(self) -> None:
        """What it was to tell is adopted again."""
        one, two, three = await self.begin(3)
        await self.join(one, 300)
        clients = self.told.connected()
        await pause(1)
        self.told.pause(50_000)
        one.stop(signal.SIGKILL)

        async def is_begun() -> bool:
            return len(self.told.disconnects()) >= 20

        await until(is_begun)
        two.stop(signal.SIGKILL)
        self.told.pause(0)
        await self.until_told(clients)
        await pause(_NOTICED)
        told = self.told.disconnects()
        self.assertEqual(clients, told.keys())
        self.assertLessEqual(sum(told.values()), len(clients) + _AT_ONCE)
        await self.is_clean()
        self.assertNotIn("Traceback", three.log)

    async def test_stopped_in_order(self) -> None:
        """A gateway that stops tells PHP itself, and the others notice at once."""
        one, two = await self.begin(2)
        await self.join(one, 50)
        clients = self.told.connected()
        begun = time.monotonic()
        await deferToThread(one.stop)

        async def has_left() -> bool:
            return "has left" in two.log

        await until(has_left)
        self.assertLess(time.monotonic() - begun, _LEASE - 2)
        self.assert_each_once(clients)
        self.assertEqual({"1001"}, {event.code for event in self.told.events("disconnect")})
        await self.is_clean()


class CrowdTests(DeathTestCase):
    timeout = 170

    async def test_three_times_three_thousand(self) -> None:
        """A gateway is killed while it tells PHP of thousands: each is told of, and few twice."""
        gateways = await self.begin(3)
        crowds = [LightClients(gateway.port) for gateway in gateways]
        for crowd in crowds:
            self.addCleanup(crowd.abort)
        begun = time.monotonic()
        for crowd in crowds:
            await crowd.join_all(3000, query="name=n")
        self.log.info("joined after {seconds}", seconds=time.monotonic() - begun)
        node = await self.node_id(crowds[0].members[0])
        clients = self.told.connected(node)
        self.assertEqual(3000, len(clients))
        self.told.pause(500)
        crowds[0].abort()

        async def is_begun() -> bool:
            return len(self.told.disconnects()) >= 1000

        await until(is_begun)
        gateways[0].stop(signal.SIGKILL)
        told_before, begun = len(self.told.disconnects()), time.monotonic()
        self.assertLess(told_before, 2900)
        await self.until_told(clients)
        told = self.told.disconnects()
        self.log.info(
            "told before {before}, the rest after {seconds}, twice {twice}",
            before=told_before,
            seconds=time.monotonic() - begun,
            twice=sum(told.values()) - 3000,
        )
        self.assertEqual(clients, told.keys())
        self.assertLessEqual(sum(told.values()) - 3000, _AT_ONCE)
        await self.is_clean_of(node)
        for gateway in gateways[1:]:
            found = await self.get(gateway, "/stats")
            self.assertEqual(3000, found["clients_now"])
            self.assertEqual(0, found["disconnects_lost"])


class FrozenTests(DeathTestCase):
    async def test_below_the_lease(self) -> None:
        """Nothing has happened."""
        one, two = await self.begin(2)
        clients = await self.join(one, 20)
        one.signal(signal.SIGSTOP)
        await pause(5)
        one.signal(signal.SIGCONT)
        await pause(4)
        self.assertEqual(Counter(), self.told.disconnects())
        self.assertNotIn("has left", two.log)
        for client in clients:
            client.send("still here")
            self.assertEqual(b"still here", await client.receive())

    async def test_above_the_lease(self) -> None:
        """PHP is told by the others, and by nobody again; the clients are closed with 1012."""
        one, two = await self.begin(2)
        clients = await self.join(one, 60)
        node = await self.node_id(clients[0])
        ids = self.told.connected(node)
        one.signal(signal.SIGSTOP)
        for client in clients[:10]:
            # It finds them gone when it goes on, before it knows that it was declared dead.
            client.transport.abortConnection()
        await self.until_told(ids)
        for client in clients[10:20]:
            client.send("lost")
        one.signal(signal.SIGCONT)
        codes = await gatherResults([client.ended for client in clients[10:]])
        self.assertEqual({1012}, {*codes})
        await self.members(one)
        self.assert_each_once(ids)
        [client] = await self.join(one, 1)
        self.assertNotEqual(node, await self.node_id(client))
        await client.leave()
        new = self.told.connected() - ids
        await self.until_told(new)
        self.assert_each_once(ids | new)
        await self.is_clean()
        self.assertIn("has joined", two.log)
        self.assertNotIn("Traceback", one.log + two.log)

    async def test_what_php_has_published(self) -> None:
        """A node that goes on drops what PHP has published meanwhile on the bus itself.

        It may be older than what the clients have got since, at another gateway.
        """
        one, two = await self.begin(2)
        [there], [here] = await self.join(one, 1), await self.join(two, 1)
        await self.node_id(there)
        one.signal(signal.SIGSTOP)
        batch = json.dumps([{"op": "send", "to": {"all": True}, "message": "late"}])
        self.assertEqual(2, self.redis.ask("PUBLISH", "phpgw:1:all", batch))
        self.assertEqual(b"late", await here.receive())
        await pause(_NOTICED)
        received: list[bytes] = []
        there.on_message = received.append
        one.signal(signal.SIGCONT)
        self.assertEqual(1012, await there.ended)
        self.assertEqual([], received)
        self.assertIn("are not carried out: it was stopped or cut off for a while", one.log)

    async def test_push_beside_it(self) -> None:
        """Once it is known to be dead, pushes to the users of its clients are as quick as ever."""
        one, two = await self.begin(2)
        await self.join(one, 1)
        await self.join(two, 1)
        await pause(0.5)
        two.signal(signal.SIGSTOP)

        async def is_known() -> bool:
            return (await self.push(one, "hi", user="user-of-n0"))[0] == 200

        self.assertFalse(await is_known())
        await until(is_known)
        await pause(0.2)
        seconds = []
        for _ in range(5):
            begun = time.monotonic()
            self.assertTrue(await is_known())
            seconds.append(time.monotonic() - begun)
        # It takes a hundred milliseconds to find out that a node does not answer.
        self.assertLess(min(seconds), 0.09)
        two.signal(signal.SIGCONT)

    async def test_a_minute_of_it(self) -> None:
        """Gateways that are stopped in turn, for longer than the lease, are there at the end."""
        gateways = await self.begin(3)
        for gateway in gateways:
            await self.join(gateway, 20)
            ids = self.told.connected()
            gateway.signal(signal.SIGSTOP)
            await pause(_NOTICED)
            gateway.signal(signal.SIGCONT)
            await self.members(gateway)
        await self.until_told(ids)
        self.assert_each_once(ids)
        await self.is_clean()


class EngineTests(DeathTestCase):
    async def test_killed_and_empty(self) -> None:
        """A Redis that has lost all is told the ledgers again, and PHP of each end, once."""
        one, two = await self.begin(2)
        clients = await self.join(one, 100)
        await self.join(two, 100)
        node = await self.node_id(clients[0])
        ids = self.told.connected()
        self.redis.stop(signal.SIGKILL)
        # Its own clients, it tells PHP of at once.
        for client in clients[:20]:
            await client.leave()

        async def is_told() -> bool:
            return len(self.told.disconnects()) == 20

        await until(is_told)
        self.redis.start()

        async def is_written() -> bool:
            return self.redis.ask("HLEN", f"{{phpgw:1}}:left:{node}") == 80

        await until(is_written)
        one.stop(signal.SIGKILL)
        await self.until_told(self.told.connected(node))
        self.assert_each_once(self.told.connected(node))
        self.assertEqual(100, len(ids - self.told.disconnects().keys()))
        self.assertNotIn("has left", one.log)

    async def test_frozen(self) -> None:
        """Nobody is declared dead because Redis was away for long."""
        one, two = await self.begin(2)
        await self.join(one, 20)
        self.redis.freeze()
        await pause(_NOTICED)
        self.redis.thaw()
        await pause(_NOTICED)
        self.assertEqual(Counter(), self.told.disconnects())
        self.assertNotIn("has left", one.log + two.log)


class KeptOnDiskTests(DeathTestCase):
    redis_config: ClassVar = {"appendonly": "yes", "appendfsync": "always"}

    async def test_killed_with_a_gateway(self) -> None:
        """With what Redis has kept on disk, nothing is lost and nobody is told of twice."""
        one, _ = await self.begin(2)
        clients = await self.join(one, 50)
        ids = self.told.connected()
        await pause(1)
        self.redis.stop(signal.SIGKILL)
        for client in clients[:20]:
            await client.leave()
        await pause(1)
        one.stop(signal.SIGKILL)
        self.redis.start()
        await self.until_told(ids)
        told = self.told.disconnects()
        self.assertEqual(ids, told.keys())
        # Its own twenty could not be settled: Redis was away when PHP was told, and the gateway
        # died before it was back.
        self.assertEqual(20, sum(told.values()) - len(ids))


class WorkerTests(DeathTestCase):
    async def start_workers(self) -> Gateway:
        """Start a gateway with two workers."""
        self.write({"websocket.php": SCRIPT})
        self.told = Told(self.document_root)
        path = str(self.document_root / "websocket.php")
        upstream = ("--php-script", path, "--php-fpm", self.start_php().endpoint)
        gateway = self.start_gateway(*upstream, "--workers", "2", *_OPTIONS)

        async def are_ready() -> bool:
            return len(worker_pids(gateway.log)) == 2 and gateway.log.count("has joined") == 2

        await until(are_ready)
        return gateway

    async def test_killed(self) -> None:
        """The other worker tells PHP of the clients of one that was killed, at once."""
        gateway = await self.start_workers()
        clients = await self.join(gateway, 100)
        nodes = [await self.node_id(client) for client in clients]
        begun = time.monotonic()
        os.kill(worker_pids(gateway.log)[0], signal.SIGKILL)
        client = await DeferredList([client.ended for client in clients], fireOnOneCallback=True)
        dead = self.told.connected(nodes[client[1]])
        self.assertTrue(20 < len(dead) < 80, len(dead))
        await self.until_told(dead)
        self.assertLess(time.monotonic() - begun, _LEASE / 2)
        await pause(_NOTICED)
        self.assert_each_once(dead)

    async def test_all_killed(self) -> None:
        """If all are killed together, those in their places tell PHP, before the leases end."""
        gateway = await self.start_workers()
        clients = await self.join(gateway, 40)
        nodes = {await self.node_id(client) for client in clients}
        for pid in worker_pids(gateway.log):
            os.kill(pid, signal.SIGKILL)
        dead = set().union(*map(self.told.connected, nodes))

        async def are_replaced() -> bool:
            return gateway.log.count("is ready, process") == 4

        await until(are_replaced)
        begun = time.monotonic()
        await self.until_told(dead)
        self.assertLess(time.monotonic() - begun, _LEASE / 2)
        self.assert_each_once(dead)

    async def test_killed_while_it_tells(self) -> None:
        """Only what PHP works on when a worker dies can be told twice, with the same id."""
        gateway = await self.start_workers()
        clients = await self.join(gateway, 200)
        nodes = {await self.node_id(client) for client in clients}
        gone = set().union(*map(self.told.connected, nodes))
        self.told.pause(20_000)
        for client in clients:
            client.transport.abortConnection()

        async def is_begun() -> bool:
            return len(self.told.disconnects()) >= 40

        await until(is_begun)
        os.kill(worker_pids(gateway.log)[0], signal.SIGKILL)
        self.assertLess(len(self.told.disconnects()), 190)
        await self.until_told(gone)
        told = self.told.disconnects()
        self.assertEqual(gone, told.keys())
        self.assertLessEqual(sum(count > 1 for count in told.values()), _AT_ONCE)
        ids = {(event.client_id, event.event_id) for event in self.told.events("disconnect")}
        self.assertEqual(200, len(ids))


class TimerTests(DeathTestCase):
    async def test_once(self) -> None:
        """Each second has one run, while gateways are killed and stopped."""
        gateways = await self.start(
            3, *_OPTIONS, "--timer", "tick=1s", "--timer", "slow=1s", script=_TIMER_SCRIPT
        )
        path = self.document_root / "ticks"
        await pause(5)
        gateways[0].stop(signal.SIGKILL)
        await pause(5)
        gateways[1].signal(signal.SIGSTOP)
        await pause(5)
        gateways[1].signal(signal.SIGCONT)
        await pause(5)
        lines = [line.split() for line in path.read_text().splitlines()]
        ticks = sorted(float(at) for name, at in lines if name == "tick")
        self.assertGreaterEqual(len(ticks), 17)
        # A run belongs to the second that has just begun.
        self.assertEqual([], [each for each, n in Counter(map(int, ticks)).items() if n > 1])
        slow = sorted(float(at) for name, at in lines if name == "slow")
        for before, after in pairwise(slow):
            self.assertGreater(after - before, 1.5)


_TIMER_SCRIPT = """<?php
$line = $_POST['message'] . ' ' . microtime(true) . "\\n";
file_put_contents(__DIR__ . '/ticks', $line, FILE_APPEND | LOCK_EX);
if ($_POST['message'] === 'slow') {
    usleep(1500000);
}
http_response_code(204);
"""


class HoldTests(DeathTestCase):
    async def test_all(self) -> None:
        """One request holds all gateways, and a new one begins held; one releases them."""
        one, two = await self.begin(2)
        status, text = await self.ask(one, "/hold?seconds=30", "--request", "POST")
        self.assertEqual(200, status, text)
        self.assertIn('"held": true', text)
        three = self.add_gateway(*_OPTIONS)
        for gateway in (one, two, three):
            await until(lambda gateway=gateway: self.is_held(gateway))  # type: ignore[misc]
        status, text = await self.ask(three, "/release", "--request", "POST")
        self.assertEqual((200, True), (status, '"held": false' in text))
        for gateway in (one, two, three):
            self.assertFalse(await self.is_held(gateway))

    async def is_held(self, gateway: Gateway) -> bool:
        return "held back" in (await self.ask(gateway, "/readyz"))[1]

    async def test_not_all(self) -> None:
        """A gateway that does not answer is named, until it is known to be dead."""
        one, two = await self.begin(2)
        [client] = await self.join(two, 1)
        node = await self.node_id(client)
        two.signal(signal.SIGSTOP)
        status, text = await self.ask(one, "/hold?seconds=30", "--request", "POST")
        self.assertEqual(503, status)
        self.assertIn(f"node {node}", text)
        await pause(_NOTICED)
        status, text = await self.ask(one, "/hold?seconds=1", "--request", "POST")
        self.assertEqual(200, status, text)
        two.signal(signal.SIGCONT)
