"""Tests for :mod:`phpgw.cluster.published_commands`."""

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from phpgw.cluster import published_commands as module
from phpgw.cluster.frames import encode_frame
from phpgw.hub.command_parser import LONG_TEXT
from phpgw.hub.commands import Command, Send, Target
from tests.support.memory_bus import MemoryBus
from tests.support.memory_cluster import ClusterTestCase


class PublishedCommandsTests(ClusterTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.php = MemoryBus(self.engine)

    def publish(self, channel: bytes, *commands: object) -> int:
        """Publish commands as PHP does; return the number of nodes."""
        text = json.dumps(commands).encode()
        count: int = self.result(self.php.publish(channel, text))
        self.turn(1)
        return count

    def send(self, message: str, **to: Any) -> dict[str, Any]:
        return {"op": "send", "to": to, "message": message}

    def test_user_and_group(self) -> None:
        """A message for a user or a group comes to its clients on all nodes, and to no others."""
        here = self.a.connect("1", "news", user="7")
        there = self.b.connect("2", "news")
        self.turn()
        self.assertEqual(1, self.publish(b"u:7", self.send("user", user="7")))
        self.assertEqual(2, self.publish(b"g:news", self.send("group", group="news")))
        self.assertEqual(0, self.publish(b"g:nobody", self.send("nobody", group="nobody")))
        self.assertEqual([b"user", b"group"], self.a.messages(here))
        self.assertEqual([b"group"], self.b.messages(there))

    def test_client(self) -> None:
        """Commands for a client are published to its node."""
        client = self.b.connect("1")
        to = {"client": client.id}
        commands = self.send("hi", **to), {"op": "join", "to": to, "group": "news"}
        self.assertEqual(1, self.publish(b"n:bbbb", *commands))
        self.assertEqual([b"hi"], self.b.messages(client))
        self.assertEqual(1, self.publish(b"g:news", self.send("news", group="news")))
        self.assertEqual([b"hi", b"news"], self.b.messages(client))

    def test_all(self) -> None:
        """On the channel of all nodes, commands can be for anybody."""
        clients = [node.connect("1", "news", user="7") for node in self.nodes.values()]
        for to in (
            {"all": True},
            {"groups": ["news", "x"]},
            {"users": ["7"]},
            {"client": "cccc.1"},
        ):
            self.assertEqual(3, self.publish(b"all", self.send("hi", **to)))
        counts = [len(n.messages(c)) for n, c in zip(self.nodes.values(), clients, strict=True)]
        self.assertEqual([3, 3, 4], counts)

    def test_node_that_was_stopped(self) -> None:
        """A node that others may have declared dead carries nothing out, and logs that."""
        here, there = [node.connect("1", "news") for node in (self.a, self.b)]
        self.turn()
        self.b.members.is_in_touch = False
        with capturedLogs() as logs:
            self.publish(b"g:news", self.send("late", group="news"))
        self.assertEqual(([b"late"], []), (self.a.messages(here), self.b.messages(there)))
        self.assertEqual(["it was stopped or cut off for a while"], [e["reason"] for e in logs])
        self.b.members.is_in_touch = True
        self.publish(b"g:news", self.send("again", group="news"))
        self.assertEqual([b"again"], self.b.messages(there))

    def test_stopped_while_it_reads(self) -> None:
        """What it has begun to read is not carried out either, nor what has come behind it."""
        client = self.b.connect("1", "news")
        self.turn()
        reading: Deferred[list[Command]] = Deferred()
        self.patch(self.b.slices, "run", lambda steps: reading)
        self.publish(b"g:news", self.send("x" * LONG_TEXT, group="news"))
        self.publish(b"g:news", self.send("behind", group="news"))
        self.b.members.is_in_touch = False
        reading.callback([Send(Target("group", ("news",)), b"x")])
        self.turn()
        self.assertEqual([], self.b.messages(client))

    def test_wrong_channel(self) -> None:
        """Commands for others than the channel's are not carried out, nor those beside them."""
        client = self.a.connect("1", "news", user="7")
        for channel, to in (
            (b"u:7", {"user": "8"}),
            (b"u:7", {"users": ["7", "8"]}),
            (b"u:7", {"group": "7"}),
            (b"u:7", {"all": True}),
            (b"u:7", {"client": client.id}),
            (b"g:news", {"user": "news"}),
            (b"n:aaaa", {"group": "news"}),
        ):
            right = self.send("right", user="7") if channel == b"u:7" else self.send("x", **to)
            self.publish(channel, right, self.send("wrong", **to))
        self.assertEqual([], self.a.messages(client))

    def test_history(self) -> None:
        """A message that is to be kept is refused, since that cannot be done any more."""
        client = self.a.connect("1", "g", "kept-1")
        for history in ("10,1m", "off"):
            self.publish(b"g:g", {**self.send(history, group="g"), "history": history})
        self.publish(b"g:kept-1", self.send("kept", group="kept-1"))
        self.publish(b"g:kept-1", {**self.send("not", group="kept-1"), "history": False})
        self.assertEqual([b"off", b"not"], self.a.messages(client))

    def test_invalid(self) -> None:
        """What is no list of commands changes nothing, and is no frame of a node either."""
        client = self.a.connect("1")
        for frame in (b"[", b"[1]", b"[{}]", b'[{"op": "send"}]', b"[" * 100_000):
            self.result(self.php.publish(b"all", frame))
            self.turn(1)
        self.publish(b"all", self.send("hi", all=True))
        self.assertEqual([b"hi"], self.a.messages(client))

    def test_order(self) -> None:
        """Short commands come after long ones that were published before."""
        client = self.a.connect("1")
        long = [self.send("x" * 100 + str(n), all=True) for n in range(1000)]
        self.assertGreater(len(json.dumps(long)), LONG_TEXT)
        self.php.publish(b"all", json.dumps(long).encode())
        self.php.publish(b"all", json.dumps([self.send("last", all=True)]).encode())
        for _ in range(400):
            self.turn(0.01, turns=2)
        messages = self.a.messages(client)
        self.assertEqual((1001, b"last"), (len(messages), messages[-1]))

    def test_too_many(self) -> None:
        """What waits behind long commands is limited; what is beyond that is dropped."""
        client = self.a.connect("1")
        self.patch(module, "_MAX_WAITING", 100)
        long = [self.send("x" * 100, all=True) for _ in range(1000)]
        self.php.publish(b"all", json.dumps(long).encode())
        for number in range(3):
            self.php.publish(b"all", json.dumps([self.send(f"{number}", all=True)]).encode())
        for _ in range(400):
            self.turn(0.01, turns=2)
        self.assertEqual([b"0"], self.a.messages(client)[1000:])

    def test_frames_of_nodes(self) -> None:
        """No frame of a node begins like PHP's."""
        for count in (0, 1, 100):
            frame = encode_frame("aaaa", [b"\x90"] * count)
            self.assertFalse(module.is_published_by_php(frame))
