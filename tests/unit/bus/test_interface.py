"""The interface of the bus, and the bus in memory that tests of others stand on."""

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.bus.interface import Bus, BusUnavailable, LuaScript
from tests.support.memory_bus import MemoryBus, MemoryEngine

SCRIPT = LuaScript("first", "return KEYS[1]")


class Recorder:
    """An observer that records what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def connected(self) -> None:
        self.told.append(("connected",))

    def lost(self, reason: str) -> None:
        self.told.append(("lost", reason))

    def received(self, channel: bytes, frame: bytes) -> None:
        self.told.append((channel, frame))


class ScriptTests(SynchronousTestCase):
    def test_digest(self) -> None:
        """A script's digest is SHA-1 of its source, as EVALSHA takes it."""
        self.assertEqual(
            b"59b6ab2fbe0ee4b25733de0f62e6cda4899ef8e9", LuaScript("one", "return 7").digest
        )


class MemoryBusTests(SynchronousTestCase):
    """What holds for a real bus holds for the one in memory."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.engine = MemoryEngine(self.clock)
        self.one, self.other = MemoryBus(self.engine), MemoryBus(self.engine)
        self.recorder = Recorder()
        self.other.observers.append(self.recorder)
        self.bus: Bus = self.one

    def result(self, deferred: Any) -> Any:
        self.clock.advance(0)
        return self.successResultOf(deferred)

    def test_publish(self) -> None:
        """A frame reaches all that are subscribed, and their number comes back."""
        self.assertEqual(0, self.result(self.bus.publish(b"u:7", b"lost")))
        self.result(self.other.subscribe(b"u:7"))
        self.assertEqual(1, self.result(self.bus.publish(b"u:7", b"hi")))
        self.assertEqual([(b"u:7", b"hi")], self.recorder.told)
        self.assertEqual([1, 0], self.result(self.bus.subscribers([b"u:7", b"u:8"])))
        self.other.unsubscribe(b"u:7")
        self.assertEqual(0, self.result(self.bus.publish(b"u:7", b"late")))

    def test_loss(self) -> None:
        """A lost connection fails what is pending, and subscribes again when it is back."""
        self.result(self.other.subscribe(b"all"))
        pending = self.other.publish(b"x", b"y")
        self.other.lose("gone")
        self.assertTrue(self.failureResultOf(pending, BusUnavailable).value.may_be_done)
        self.assertEqual("gone", self.other.problem)
        failure = self.failureResultOf(self.other.subscribe(b"late"), BusUnavailable)
        self.assertFalse(failure.value.may_be_done)
        self.assertEqual(0, self.result(self.bus.publish(b"all", b"missed")))
        self.other.restore()
        self.assertEqual(1, self.result(self.bus.publish(b"late", b"heard")))
        self.assertEqual(
            [("lost", "gone"), ("connected",), (b"late", b"heard")], self.recorder.told
        )

    def test_freeze(self) -> None:
        """A frozen engine replies to nothing, and does it all in order when it is back."""
        self.one.freeze()
        first, second = self.bus.call(b"SET", b"a", 1), self.bus.call(b"GET", b"a")
        self.clock.advance(5)
        self.assertNoResult(first)
        self.one.thaw()
        self.assertEqual([b"OK", b"1"], [self.result(first), self.result(second)])

    def test_faults(self) -> None:
        """Frames and replies can be lost, spies counted, and writes refused."""
        self.result(self.other.subscribe(b"all"))
        self.other.is_deaf, self.engine.spies = True, 1
        self.assertEqual(2, self.result(self.bus.publish(b"all", b"hi")))
        self.assertEqual([], self.recorder.told)
        self.engine.refusal = "READONLY"
        refused = self.bus.call(b"DEL", b"a")
        self.clock.advance(0)
        self.failureResultOf(refused, BusUnavailable)
        self.one.loses_replies = True
        silent = self.bus.publish(b"all", b"hi")
        self.clock.advance(60)
        self.assertNoResult(silent)

    def test_scripts(self) -> None:
        """A script does what the test says."""
        self.engine.scripts["first"] = lambda keys, arguments: [keys[0], arguments[0]]
        self.assertEqual([b"k", b"3"], self.result(self.bus.run(SCRIPT, [b"k"], [3])))

    def test_keys(self) -> None:
        """Keys expire, and hashes and sorted sets go with their last member."""

        def call(command: bytes, *arguments: bytes | int) -> Any:
            return self.result(self.bus.call(command, *arguments))

        self.assertEqual(b"OK", call(b"SET", b"hold", b"1", b"NX", b"PX", 1500))
        self.assertIsNone(call(b"SET", b"hold", b"2", b"NX"))
        self.assertEqual(1500, call(b"PTTL", b"hold"))
        self.clock.advance(1.5)
        self.assertIsNone(call(b"GET", b"hold"))
        self.assertEqual(2, call(b"HSET", b"left:a", b"1", b"x", b"2", b"y"))
        self.assertEqual({b"1": b"x", b"2": b"y"}, call(b"HGETALL", b"left:a"))
        self.assertEqual(2, call(b"HDEL", b"left:a", b"1", b"2", b"3"))
        self.assertEqual(0, call(b"EXISTS", b"left:a"))
        call(b"ZADD", b"nodes", 5, b"b", 3, b"a")
        self.assertEqual([b"a", b"b"], call(b"ZRANGE", b"nodes", 0, -1))
        self.assertEqual([b"1", b"500000"], call(b"TIME"))
