"""Several gateways, with a real Redis and a real PHP."""

import signal
import socket
import time
from typing import Any

from twisted.internet.threads import deferToThread

from tests.support.real.cluster import ClusterClient, RealClusterTestCase
from tests.support.real.waiting import pause, until


def send(message: str, **to: Any) -> dict[str, Any]:
    return {"op": "send", "to": to, "message": message}


JOIN = {"op": "join", "group": "g"}
BIND = {"op": "bind", "user": "u"}


class PushTests(RealClusterTestCase):
    async def test_each_target_from_each_gateway(self) -> None:
        """A push from any gateway reaches clients of all, once, and the results are true."""
        gateways = await self.start(3)
        clients = [await self.client(gateway, JOIN, BIND) for gateway in gateways]
        other = await self.client(gateways[0])
        self.assertEqual(3, len({client.node_id for client in clients}))
        for number, gateway in enumerate(gateways):
            for client in clients:
                pushed = await self.push(gateway, f"{number} to one", client_id=client.id)
                self.assertEqual((200, "Message sent"), pushed)
            for target in ({"group": "g"}, {"user": "u"}):
                pushed = await self.push(gateway, f"{number} to {target}", **target)
                self.assertEqual((200, "Message sent"), pushed)
            results = await self.commands(
                gateway,
                send(f"{number} counted", group="g"),
                send(f"{number} twice named", groups=["g", "x"]),
                send(f"{number} all", all=True),
                send("nobody", group="x"),
            )
            self.assertEqual([3, 3, 4, 0], [each["delivered"] for each in results])
            for client in clients:
                self.assertEqual(
                    [
                        f"{number} to one",
                        f"{number} to {{'group': 'g'}}",
                        f"{number} to {{'user': 'u'}}",
                        f"{number} counted",
                        f"{number} twice named",
                        f"{number} all",
                    ],
                    await client.receive(6),
                )
            self.assertEqual([f"{number} all"], await other.receive())
            for missing in ({"client_id": f"{other.node_id}.x"}, {"group": "x"}, {"user": "x"}):
                self.assertEqual(404, (await self.push(gateway, "x", **missing))[0])
            self.assertEqual(404, (await self.push(gateway, "x", client_id="dddddddddddd.1"))[0])

    async def test_commands_for_clients_elsewhere(self) -> None:
        """PHP does with a client of another gateway what it does with one of its own."""
        one, two = await self.start(2)
        client = await self.client(two)
        to = {"client": client.id}
        results = await self.commands(
            one,
            {"op": "bind", "to": to, "user": "7"},
            {"op": "state", "to": to, "state": "s"},
            {"op": "join", "to": to, "group": "room"},
            send("hello, 7", user="7"),
            send("hello, room", group="room"),
        )
        self.assertEqual([{"delivered": 1}] * 5, results)
        self.assertEqual(["hello, 7", "hello, room"], await client.receive(2))
        for gateway in (one, two):
            found = await self.get(gateway, f"/clients/{client.id}")
            self.assertEqual(("7", "s", ["room"]), (found["user"], found["state"], found["groups"]))
            page = await self.get(gateway, "/groups/room")
            self.assertEqual([client.id], [each["client_id"] for each in page["clients"]])
        status, _ = await self.ask(one, f"/clients/{client.id}?code=4001", "--request", "DELETE")
        self.assertEqual(204, status)
        self.assertEqual(4001, (await client.connection.closed).code)
        self.assertEqual(404, (await self.ask(one, f"/clients/{client.id}"))[0])
        self.assertEqual(404, (await self.ask(one, "/users/7"))[0])

    async def test_recorded_events(self) -> None:
        """Any gateway has the recorded events of a client of any other, the newest first."""
        one, two = await self.start(2, "--record-events", "2")
        client = await self.client(two)
        for message in ("first", "second", "third"):
            client.send({"op": "send", "message": message})
            self.assertEqual([message], await client.receive())
        for gateway in (one, two):
            events = (await self.get(gateway, f"/clients/{client.id}"))["events"]
            for event, message in zip(events, ("third", "second"), strict=True):
                self.assertIn(message, event["message"])
                self.assertEqual(client.id, event["client_id"])
        two.signal(signal.SIGSTOP)
        status, body = await self.ask(one, f"/clients/{client.id}")
        two.signal(signal.SIGCONT)
        self.assertEqual(503, status)
        self.assertIn(client.node_id, body)

    async def test_replies(self) -> None:
        """The commands of a reply reach clients of other gateways, in order, and names work."""
        one, two = await self.start(2)
        sender, client = await self.client(one), await self.client(two)
        for n in range(20):
            group = f"room-{n}"
            sender.send(
                {"op": "join", "to": {"client": client.id}, "group": group},
                send("1", group=group),
                send("2", client=client.id),
                send("3", all=True),
                {"op": "leave", "to": {"client": client.id}, "group": group},
                send("not any more", group=group),
                {"op": "send", "message": "4"},
            )
            self.assertEqual(["1", "2", "3"], await client.receive(3))
            self.assertEqual(["3", "4"], await sender.receive(2))

    async def test_join_and_send_from_elsewhere_at_once(self) -> None:
        """Once a join is answered, a push from any gateway finds the client."""
        one, two, three = await self.start(3)
        client = await self.client(two)
        for n in range(20):
            to = {"client": client.id}
            joined = await self.commands(one, {"op": "join", "to": to, "group": f"g{n}"})
            self.assertEqual([{"delivered": 1}], joined)
            self.assertEqual(200, (await self.push(three, f"hello {n}", group=f"g{n}"))[0])
            self.assertEqual([f"hello {n}"], await client.receive())
            await self.commands(three, {"op": "leave", "to": to, "group": f"g{n}"})
            self.assertEqual(404, (await self.push(one, "x", group=f"g{n}"))[0])

    async def test_order(self) -> None:
        """A thousand messages of one list come in order, by id, by group and by user."""
        one, two = await self.start(2)
        client = await self.client(two, JOIN, BIND)
        targets: list[dict[str, Any]] = [{"client": client.id}, {"group": "g"}, {"user": "u"}]
        batch = [send(str(n), **targets[n % 3]) for n in range(1000)]
        self.assertEqual([{"delivered": 1}] * 1000, await self.commands(one, *batch))
        self.assertEqual([str(n) for n in range(1000)], await client.receive(1000))

    async def test_lists(self) -> None:
        """Pages have the clients of all gateways, and can be walked through from any."""
        gateways = await self.start(3)
        clients = [await self.client(gateways[n % 3], JOIN) for n in range(12)]
        ids = sorted(client.id for client in clients)
        for gateway in gateways:
            page = await self.get(gateway, "/clients?limit=5")
            walked = [each["client_id"] for each in page["clients"]]
            while page["next"] is not None:
                page = await self.get(gateway, f"/clients?limit=5&after={page['next']}")
                walked += [each["client_id"] for each in page["clients"]]
            self.assertEqual(ids, walked)
            self.assertEqual(12, page["total"])
            groups = await self.get(gateway, "/groups")
            self.assertEqual([{"group": "g", "clients": 12}], groups["groups"])

    async def test_spy(self) -> None:
        """Somebody who reads all channels changes no result."""
        one, two = await self.start(2)
        client = await self.client(two, JOIN)
        with socket.socket(socket.AF_UNIX) as spy:
            spy.connect(str(self.redis.socket))
            spy.sendall(b"PSUBSCRIBE *\r\n")
            spy.recv(100)
            self.assertEqual(200, (await self.push(one, "1", client_id=client.id))[0])
            self.assertEqual([{"delivered": 1}], await self.commands(one, send("2", group="g")))
            # Before that, a node may have lost what was asked while it connected.
            await pause(2)
            self.assertEqual(404, (await self.push(one, "x", group="nobody"))[0])
        self.assertEqual(["1", "2"], await client.receive(2))


class FaultTests(RealClusterTestCase):
    async def unknown(self, pushed: tuple[int, str], client: ClusterClient) -> None:
        self.assertEqual(503, pushed[0], pushed)
        self.assertIn(client.node_id, pushed[1])

    async def test_gateway_that_hangs(self) -> None:
        """What its clients got is unknown, and is said so within two seconds; then all is well."""
        one, two = await self.start(2)
        mine, client = await self.client(one, JOIN), await self.client(two, JOIN)
        two.signal(signal.SIGSTOP)
        try:
            begun = time.monotonic()
            await self.unknown(await self.push(one, "1", client_id=client.id), client)
            pushed = await self.push(one, "2", group="g")
            await self.unknown(pushed, client)
            self.assertTrue(pushed[1].startswith("Delivered to 1;"), pushed)
            self.assertLess(time.monotonic() - begun, 4)
            self.assertEqual(503, (await self.ask(one, "/clients"))[0])
            # Its own clients do not wait for it.
            mine.send(send("to g", group="g"), {"op": "send", "message": "mine"})
            self.assertEqual(["2", "to g", "mine"], await mine.receive(3))
        finally:
            two.signal(signal.SIGCONT)
        self.assertEqual(["1", "2", "to g"], await client.receive(3))
        self.assertEqual(200, (await self.push(one, "4", client_id=client.id))[0])

    async def test_gateway_that_is_killed(self) -> None:
        """Its clients are unknown while it has a lease, and then they are gone."""
        one, two = await self.start(2)
        mine, client = await self.client(one, JOIN), await self.client(two, JOIN)
        two.stop(signal.SIGKILL)
        await self.unknown(await self.push(one, "1", client_id=client.id), client)
        self.assertEqual(200, (await self.push(one, "2", group="g"))[0])

        async def is_gone() -> bool:
            return (await self.push(one, "3", client_id=client.id))[0] == 404

        begun = time.monotonic()
        await until(is_gone)
        self.assertLess(time.monotonic() - begun, 15)
        page = await self.get(one, "/clients")
        self.assertEqual([mine.id], [each["client_id"] for each in page["clients"]])

    async def test_gateway_that_is_stopped(self) -> None:
        """Its clients are gone at once."""
        one, two = await self.start(2)
        client = await self.client(two, JOIN)
        closed = client.connection.closed
        await deferToThread(two.stop)
        self.assertEqual(1001, (await closed).code)
        self.assertEqual(404, (await self.push(one, "x", group="g"))[0])
        self.assertEqual(404, (await self.push(one, "x", client_id=client.id))[0])
        self.assertEqual(0, (await self.get(one, "/clients"))["total"])

    async def test_redis_that_is_killed(self) -> None:
        """The clients of each gateway are served; the others are unknown until it is back."""
        one, two = await self.start(2)
        mine, client = await self.client(one, JOIN), await self.client(two, JOIN)
        self.redis.stop(signal.SIGKILL)
        self.assertEqual(200, (await self.push(one, "1", client_id=mine.id))[0])
        pushed = await self.push(one, "2", group="g")
        self.assertEqual((503, True), (pushed[0], pushed[1].startswith("Delivered to 1;")), pushed)
        self.assertEqual(503, (await self.push(one, "x", client_id=client.id))[0])
        self.assertEqual(503, (await self.ask(one, "/groups"))[0])
        status, text = await self.ask(one, "/readyz")
        self.assertEqual(200, status)
        self.assertIn("degraded", text)
        mine.send({"op": "send", "message": "3"})
        self.assertEqual(["1", "2", "3"], await mine.receive(3))
        self.redis.start()

        async def is_back() -> bool:
            return (await self.push(one, "back", client_id=client.id))[0] == 200

        await until(is_back)
        self.assertEqual(["back"], await client.receive())

        async def is_whole() -> bool:
            return (await self.commands(one, send("all", group="g")))[0] == {"delivered": 2}

        await until(is_whole)
        self.assertEqual((200, "ready\n"), await self.ask(one, "/readyz"))

    async def test_redis_that_freezes(self) -> None:
        """A push gets its answer within some seconds, and no message is kept for later."""
        one, two = await self.start(2)
        client = await self.client(two, JOIN)
        self.redis.freeze()
        try:
            begun = time.monotonic()
            self.assertEqual(503, (await self.push(one, "x", client_id=client.id))[0])
            self.assertLess(time.monotonic() - begun, 6)
        finally:
            self.redis.thaw()
        await pause(0.5)

        async def is_back() -> bool:
            return (await self.push(one, "back", client_id=client.id))[0] == 200

        await until(is_back)
        [first] = await client.receive()
        # The one that was unknown may have come.
        self.assertIn(first, ("x", "back"))
