"""Histories in a real Redis."""

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults

from phpgw.cluster.history import EngineHistory
from phpgw.history.interface import MAX_PAGE_BYTES, HistoryPage, Position
from phpgw.history.memory import MemoryHistory
from phpgw.history.rules import HistoryRule
from phpgw.hub.directory import NotKnown
from tests.support.real.bus_test_case import RealBusTestCase
from tests.support.real.redis import Redis
from tests.system.test_bus import ACL_RULES

_RULE = HistoryRule(3, 60.0)
_PERSISTENT = {"appendonly": "yes", "appendfsync": "always"}


def offsets(page: HistoryPage) -> list[int]:
    return [each.offset for each in page.entries]


class EngineHistoryTests(RealBusTestCase):
    async def start(self, **config: str) -> Redis:
        redis = self.start_redis(config=config)
        self.bus, self.listener = await self.start_bus(redis.url)
        self.history = EngineHistory(self.bus)
        return redis

    async def push(
        self, message: bytes = b"x", rule: HistoryRule = _RULE, is_binary: bool = False
    ) -> Position:
        rules = {"g": rule}
        kept = await self.history.publish(b"c", b"frame", message, is_binary, rules)
        [position] = kept.positions
        return position.position

    async def test_as_in_memory(self) -> None:
        """Readers see the same as of a history in memory."""
        await self.start()
        memory = MemoryHistory(reactor, 10 * MAX_PAGE_BYTES)
        self.addCleanup(memory.stopService)
        other, small, long = HistoryRule(9, 60.0), HistoryRule(2, 60.0), b"x" * 400_000
        pushes: list[tuple[bytes, HistoryRule, bool]] = [
            *[(b"%d" % n, _RULE, n % 2 > 0) for n in range(7)],
            *[(b"\xff\0", other, True), (b"", other, False), (b"a", small, False)],
            *[(long, other, False)] * 4,
            (b"y" * (MAX_PAGE_BYTES + 1), other, False),
        ]
        for message, rule, is_binary in pushes:
            theirs = await self.push(message, rule, is_binary)
            ours = memory.append("g", rule, message, is_binary)
            self.assertEqual(ours.offset, theirs.offset)
            for limit in (0, 1, 2, 100):
                last = await self.history.last("g", limit)
                self.assert_like(memory.last("g", limit), last)
                for offset in range(ours.offset + 2):
                    for a, b in ((ours, theirs), (Position(1, "x"), Position(1, "y"))):
                        self.assert_like(
                            memory.after("g", Position(offset, a.epoch), limit),
                            await self.history.after("g", Position(offset, b.epoch), limit),
                        )

    def assert_like(self, ours: HistoryPage, theirs: HistoryPage) -> None:
        self.assertEqual([*ours.entries], [*theirs.entries])
        self.assertEqual(ours.position.offset, theirs.position.offset)
        self.assertEqual((ours.has_gap, ours.has_more), (theirs.has_gap, theirs.has_more))

    async def test_before_first(self) -> None:
        """Who reads before the first push can read on from there."""
        await self.start()
        position = (await self.history.last("g", 0)).position
        await self.push()
        page = await self.history.after("g", position, 9)
        self.assertEqual(([1], False), (offsets(page), page.has_gap))

    async def test_time(self) -> None:
        """A message expires after its time, also if others follow; the epoch stays."""
        redis = await self.start()
        rule = HistoryRule(500, 1.0)
        for _ in range(250):
            position = await self.push(rule=rule)
        await self.sleep(0.5)
        position = await self.push(rule=rule)
        self.assertEqual(100, len((await self.history.last("g", 100)).entries))
        await self.sleep(0.7)
        page = await self.history.after("g", Position(1, position.epoch), 9)
        self.assertEqual(([251], True), (offsets(page), page.has_gap))
        await self.sleep(0.6)
        page = await self.history.after("g", position, 9)
        self.assertEqual(([], False), (offsets(page), page.has_gap))
        for key, is_there in ((b"{phpgw:1}:h:g", 0), (b"{phpgw:1}:m:g", 1)):
            self.assertEqual(is_there, redis.ask("EXISTS", key))

    async def test_several_groups(self) -> None:
        """A message to several groups is published once."""
        await self.start()
        await self.bus.subscribe(b"all")
        rules = {"a": _RULE, "b": _RULE}
        kept = await self.history.publish(b"all", b"frame", b"m", False, rules)
        self.assertEqual(1, kept.receivers)
        self.assertEqual(["a", "b"], [each.group for each in kept.positions])
        await self.until(lambda: self.listener.frames, "frame")
        self.assertEqual([(b"all", b"frame")], self.listener.frames)
        for group in rules:
            page = await self.history.last(group, 9)
            self.assertEqual([b"m"], [each.message for each in page.entries])

    async def test_order(self) -> None:
        """All nodes receive messages in the order of the history, also before the own reply."""
        redis = await self.start()
        other_bus, other_listener = await self.start_bus(redis.url)
        other = EngineHistory(other_bus)
        await gatherResults([bus.subscribe(b"g:g") for bus in (self.bus, other_bus)])
        rule = {"g": HistoryRule(1000, 60.0)}
        before: list[tuple[int, int]] = []

        def note(kept: Any) -> None:
            frames = [frame for _, frame in self.listener.frames]
            before.append((kept.positions[0].position.offset, len(frames)))

        publishing: list[Deferred[Any]] = []
        for n in range(300):
            text = b"%d" % n
            history = (self.history, other)[n % 3 == 0]
            deferred = history.publish(b"g:g", text, text, False, rule)
            publishing.append(deferred.addCallback(note) if history is self.history else deferred)
            if n % 20 == 0:
                await self.sleep(0)
        await gatherResults(publishing)
        await self.until(lambda: len(other_listener.frames) == 300, "frames")
        kept = [each.message for each in (await other.last("g", 1000)).entries]
        self.assertEqual(kept, [frame for _, frame in self.listener.frames])
        self.assertEqual(kept, [frame for _, frame in other_listener.frames])
        for offset, frames in before:
            # Its own frame comes behind the reply with Valkey, and before it with Redis.
            self.assertIn(frames, (offset - 1, offset))

    async def test_restart(self) -> None:
        """What survives a restart of the engine is told, and that there may be a gap."""
        redis = await self.start(**_PERSISTENT)
        position = await self.push(b"a")
        redis.stop()
        redis.start()
        await self.until(lambda: self.listener.connections == 2, "connection")
        page = await self.history.after("g", position, 9)
        self.assertEqual(([1], True), (offsets(page), page.has_gap))
        self.assertNotEqual(position.epoch, page.position.epoch)
        after = await self.push(b"b")
        self.assertEqual((2, page.position.epoch), (after.offset, after.epoch))

    async def test_lost(self) -> None:
        """An engine that has lost all begins anew, and no old position is taken for a new one."""
        redis = await self.start()
        position = await self.push()
        redis.stop()
        redis.start()
        await self.until(lambda: self.listener.connections == 2, "connection")
        for _ in range(3):
            await self.push()
        page = await self.history.after("g", position, 9)
        self.assertEqual(([1, 2, 3], True), (offsets(page), page.has_gap))

    async def test_evicted(self) -> None:
        """What the engine has dropped for lack of memory is a gap."""
        redis = await self.start()
        for key in ("h", "m"):
            position = await self.push()
            redis.ask("DEL", f"{{phpgw:1}}:{key}:g")
            await self.push()
            before = Position(position.offset - 1, position.epoch)
            self.assertTrue((await self.history.after("g", before, 9)).has_gap, key)
        page = await self.history.last("g", 9)
        self.assertEqual(([1], 1), (offsets(page), page.position.offset))

    async def test_full(self) -> None:
        """If the engine is full, a message is published all the same; a gap is told."""
        redis = await self.start()
        await self.bus.subscribe(b"c")
        position = await self.push()
        redis.ask("CONFIG", "SET", "maxmemory", "1")
        kept = await self.history.publish(b"c", b"frame", b"lost", False, {"g": _RULE})
        self.assertEqual((1, ()), (kept.receivers, kept.positions))
        redis.ask("CONFIG", "SET", "maxmemory", "0")
        after = await self.push()
        page = await self.history.after("g", position, 9)
        self.assertEqual(([1], True, after), (offsets(page), page.has_gap, page.position))
        self.assertEqual([(b"c", b"frame")] * 3, self.listener.frames)

    async def test_user(self) -> None:
        """A user with the rights that the documentation names can do all that is needed."""
        redis = self.start_redis()
        redis.ask("ACL", "SETUSER", "phpgw", "on", ">secret", *ACL_RULES)
        file = self.directory / "password"
        file.write_text("secret")
        file.chmod(0o600)
        url = redis.url.replace("unix:", "redis+unix://phpgw@")
        self.bus, self.listener = await self.start_bus(url, bus_password_file=file)
        self.history = EngineHistory(self.bus)
        await self.push()
        self.assertEqual([1], offsets(await self.history.last("g", 9)))

    async def test_away(self) -> None:
        redis = await self.start()
        redis.stop()
        await self.until(lambda: self.listener.losses, "loss")
        with self.assertRaises(NotKnown):
            await self.history.last("g", 1)
