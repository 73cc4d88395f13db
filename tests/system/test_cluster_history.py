"""Histories of groups with several real gateways, and a real Redis."""

import json
from typing import Any
from urllib.parse import quote

from twisted.internet.defer import Deferred, gatherResults

from tests.support.real.cluster import RealClusterTestCase
from tests.support.real.gateway import Gateway
from tests.support.real.waiting import until

_JOIN = {"op": "join", "group": "kept-1"}


class ClusterHistoryTests(RealClusterTestCase):
    async def start_three(self) -> list[Gateway]:
        return await self.start(3, "--history", "kept-*=1000,1m")

    async def history(self, gateway: Gateway, query: str = "limit=1000") -> Any:
        return await self.get(gateway, f"/groups/kept-1/history?{query}")

    async def push_many(self, gateway: Gateway, name: str, count: int) -> None:
        """Push numbered messages, ten in each batch."""
        to = {"group": "kept-1"}
        for n in range(0, count, 10):
            results = await self.commands(
                gateway,
                *({"op": "send", "to": to, "message": f"{name}{n + i}"} for i in range(10)),
            )
            self.assertEqual([3] * 10, [each["delivered"] for each in results])
            offsets = [each["positions"][0]["offset"] for each in results]
            self.assertEqual(sorted(offsets), offsets)

    async def test_same_order(self) -> None:
        """The clients of all nodes get the messages of all nodes in the order of the history."""
        gateways = await self.start_three()
        clients = [await self.client(gateway, _JOIN) for gateway in gateways]
        pushing = [
            Deferred.fromCoroutine(self.push_many(gateway, name, 100))
            for gateway, name in zip(gateways, "abc", strict=True)
        ]
        await gatherResults(pushing)
        received = [await client.receive(300) for client in clients]
        for gateway in gateways:
            page = await self.history(gateway)
            kept = [each["message"] for each in page["messages"]]
            self.assertEqual((300, False), (page["offset"], page["gap"]))
            for each in received:
                self.assertEqual(kept, each)

    async def test_away(self) -> None:
        """What a client of one node has missed can be asked of another one."""
        one, two, three = await self.start_three()
        client = await self.client(one, _JOIN)
        start = await self.history(two, "limit=0")
        self.assertEqual((200, "Message sent"), await self.push(two, "a", group="kept-1"))
        self.assertEqual(["a"], await client.receive())
        await client.connection.close()

        async def has_left() -> bool:
            return (await self.get(one, "/stats"))["clients_now"] == 0

        await until(has_left)
        # Nobody is there, and yet it is no error.
        self.assertEqual((200, "Message sent"), await self.push(three, "b", group="kept-1"))
        query = f"after={start['offset'] + 1}&epoch={start['epoch']}"
        page = await self.history(two, query)
        self.assertEqual([{"offset": 2, "message": "b"}], page["messages"])
        self.assertFalse(page["gap"])

    async def test_reply(self) -> None:
        """A message in a reply is kept, too, and comes before what the reply has behind it."""
        one, two, _ = await self.start_three()
        client = await self.client(one, _JOIN)
        other = await self.client(two, _JOIN)
        to = {"group": "kept-1"}
        for n in range(20):
            client.send(
                {"op": "send", "to": to, "message": f"{n}"},
                {"op": "send", "to": {"group": "kept-1"}, "message": "-", "history": False},
                {"op": "send", "message": "me"},
            )
        texts = [text for n in range(20) for text in (f"{n}", "-")]
        self.assertEqual(texts, await other.receive(40))
        self.assertEqual(
            [text for n in range(20) for text in (f"{n}", "-", "me")], await client.receive(60)
        )
        kept = [each["message"] for each in (await self.history(two))["messages"]]
        self.assertEqual([f"{n}" for n in range(20)], kept)

    async def test_engine_killed(self) -> None:
        """Without the engine, what is not known is told; with a new one, that there is a gap."""
        one, two, _ = await self.start_three()
        client = await self.client(one, _JOIN)
        await self.push(two, "a", group="kept-1")
        self.assertEqual(["a"], await client.receive())
        before = await self.history(one)
        self.redis.stop()
        status, text = await self.push(one, "b", group="kept-1")
        self.assertEqual(503, status, text)
        self.assertEqual(["b"], await client.receive())
        status, text = await self.ask(one, "/groups/kept-1/history")
        self.assertEqual(503, status, text)
        self.assertIn("it is not known", json.loads(text)["error"])
        self.redis.start()

        async def is_back() -> bool:
            return (await self.push(one, "c", group="kept-1"))[0] == 200

        await until(is_back)
        query = f"after={before['offset']}&epoch={quote(before['epoch'])}"
        page = await self.history(two, query)
        self.assertTrue(page["gap"])
        self.assertEqual({"c"}, {each["message"] for each in page["messages"]})
