"""Every push of several gateways is accounted for, whatever happens to Redis meanwhile.

Numbered messages go to clients of all gateways. Of each push, the number that was told is compared
with what the browsers got.
"""

import signal
from typing import Any

from twisted.internet.threads import deferToThread

from tests.support.real.cluster import ClusterClient, RealClusterTestCase
from tests.support.real.faulty_proxy import FaultyProxy
from tests.support.real.pusher import Push, Pusher
from tests.support.real.waiting import pause, until

_CLIENTS = 3


class BusAccountTests(RealClusterTestCase):
    """Three gateways; one of them has a network with faults before Redis."""

    timeout = 180

    async def begin(self) -> None:
        await self.start(2)
        self.proxy = FaultyProxy(str(self.redis.socket))
        self.addCleanup(self.proxy.stop)
        self.add_gateway("--bus", f"redis://127.0.0.1:{self.proxy.port}")
        await self.know_each_other()
        self.clients: list[ClusterClient] = []
        for gateway in self.gateways:
            for _ in range(_CLIENTS):
                user = {"op": "bind", "user": f"u{len(self.clients) % 4}"}
                join = {"op": "join", "group": "g"}
                self.clients.append(await self.client(gateway, user, join))
        self.everybody = {client.id for client in self.clients}
        # The ids of those whose gateway was killed.
        self.gone: set[str] = set()
        self.users = {f"u{n}": {c.id for c in self.clients[n::4]} for n in range(4)}
        targets: list[dict[str, Any]] = []
        for number, client in enumerate(self.clients):
            targets += [{"client": client.id}, {"group": "g"}, {"user": f"u{number % 4}"}]
        self.pushers = [
            Pusher(gateway, f"p{number}", [*targets, {"all": True}])
            for number, gateway in enumerate(self.gateways)
        ]
        for pusher in self.pushers:
            pusher.start()
        await pause(0.5)

    def addressed(self, push: Push) -> set[str]:
        """Return the ids of the clients that a push was for."""
        ((kind, name),) = push.to.items()
        if kind == "client":
            return {name}
        return self.users[name] if kind == "user" else self.everybody

    async def settle(self) -> tuple[int, int]:
        """Stop pushing, and compare; return how many were told for sure, and how many not."""
        await self.until_whole()
        for pusher in self.pushers:
            await pusher.stop()
        await pause(0.3)
        received: dict[str, list[str]] = {}
        for number, gateway in enumerate(self.gateways):
            for client in self.clients[number * _CLIENTS :][:_CLIENTS]:
                status, _ = await self.push(gateway, "end", client_id=client.id)
                self.assertEqual(200, status)
                texts: list[str] = []
                while (text := str(await client.connection.receive())) != "end":
                    texts.append(text)
                received[client.id] = [text for text in texts if text.startswith("p")]
        got: dict[str, set[str]] = {}
        for client_id, texts in received.items():
            self.assertEqual(len(texts), len({*texts}), "a message came twice")
            for name in range(len(self.pushers)):
                numbers = [int(t.split()[1]) for t in texts if t.startswith(f"p{name} ")]
                self.assertEqual(sorted(numbers), numbers, "out of order")
            for text in texts:
                got.setdefault(text, set()).add(client_id)
        known = unknown = 0
        for push in (push for pusher in self.pushers for push in pusher.pushes):
            reached = got.get(push.text, set())
            self.assertLessEqual(reached, self.addressed(push), push)
            assert push.result is not None
            if push.result.get("unknown"):
                unknown += 1
                self.assertLessEqual(push.result["delivered"], len(reached), push)
            else:
                known += 1
                # What a gateway had for the clients that are gone with it may have come or not.
                possible = reached | (self.addressed(push) & self.gone)
                self.assertGreaterEqual(push.result["delivered"], len(reached), push)
                self.assertLessEqual(push.result["delivered"], len(possible), push)
        self.assertGreater(known, 50)
        return known, unknown

    async def until_whole(self) -> None:
        """Wait until each pusher reaches everybody again."""

        async def is_whole() -> bool:
            for gateway in self.gateways:
                [result] = await self.commands(
                    gateway, {"op": "send", "to": {"group": "g"}, "message": "is it whole?"}
                )
                if result != {"delivered": len(self.clients)}:
                    return False
            return True

        await until(is_whole)
        await pause(0.5)

    async def test_no_fault(self) -> None:
        """Without a fault, everything is known."""
        await self.begin()
        _, unknown = await self.settle()
        self.assertEqual(0, unknown)

    async def test_killed(self) -> None:
        """Redis is killed, and started again after a second."""
        await self.begin()
        self.redis.stop(signal.SIGKILL)
        await pause(1)
        self.redis.start()
        _, unknown = await self.settle()
        self.assertGreater(unknown, 0)

    async def test_frozen(self) -> None:
        """Redis replies to nothing for five seconds."""
        await self.begin()
        self.redis.freeze()
        await pause(5)
        self.redis.thaw()
        _, unknown = await self.settle()
        self.assertGreater(unknown, 0)

    async def test_connections_killed(self) -> None:
        """Redis closes all connections, again and again."""
        await self.begin()
        for _ in range(4):
            self.redis.ask("CLIENT", "KILL", "TYPE", "pubsub")
            await pause(0.7)
        await self.settle()

    async def test_full(self) -> None:
        """Redis is full: all messages go through, and are known."""
        await self.begin()
        self.redis.ask("CONFIG", "SET", "maxmemory", "1")
        await pause(2)
        _, unknown = await self.settle()
        self.assertEqual(0, unknown)

    async def test_cut_off(self) -> None:
        """The network before one gateway drops all packets for six seconds."""
        await self.begin()
        self.proxy.drop_packets()
        await pause(6)
        self.proxy.heal()
        _, unknown = await self.settle()
        self.assertGreater(unknown, 0)

    async def test_one_direction(self) -> None:
        """The network before one gateway drops the packets of one direction, then of the other."""
        await self.begin()
        self.proxy.loses_requests = True
        await pause(5)
        self.proxy.heal()
        await self.until_whole()
        self.proxy.loses_replies = True
        await pause(5)
        self.proxy.heal()
        await self.settle()

    async def test_password_changed(self) -> None:
        """The password is changed, and all connections are closed; then it is changed back."""
        await self.begin()
        self.redis.ask("CONFIG", "SET", "requirepass", "secret")
        self.redis.password = "secret"
        self.redis.ask("CLIENT", "KILL", "TYPE", "pubsub")
        await pause(2)
        self.redis.ask("CONFIG", "SET", "requirepass", "")
        self.redis.password = ""
        await self.settle()

    async def test_replica(self) -> None:
        """Redis becomes a replica, and then the master again."""
        await self.begin()
        self.redis.ask("REPLICAOF", "127.0.0.1", "1")
        await pause(2)
        self.redis.ask("REPLICAOF", "NO", "ONE")
        await self.settle()

    async def test_gateway_killed(self) -> None:
        """A gateway is killed: its clients are gone, and nothing else is lost."""
        await self.begin()
        third = self.gateways[2]
        await self.pushers[2].stop()
        await deferToThread(third.stop, signal.SIGKILL)
        self.gateways.pop()
        gone = self.clients[2 * _CLIENTS :]
        self.clients = self.clients[: 2 * _CLIENTS]
        self.gone = {client.id for client in gone}
        for client in gone:
            await client.connection.closed
        await self.settle()
