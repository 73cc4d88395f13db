"""The scripts of the cluster do in a real engine what their doubles do that other tests use."""

import time
from collections.abc import Sequence
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.bus.interface import LuaScript
from phpgw.cluster.adoption import ADOPT
from phpgw.cluster.membership import RENEW, RESIGN
from phpgw.cluster.recorded_clients import WRITE
from phpgw.cluster.timer_turns import CLAIM, KEEP, UNLOCK
from tests.support.memory_bus import MemoryEngine
from tests.support.memory_scripts import add_scripts
from tests.support.real.redis import Redis
from tests.support.short_directory import short_directory

# Milliseconds of a lease, and of an outage. The tests are quicker than the one, or wait for more.
_LEASE, _OUTAGE = 4000, 2800
_DAY = 24 * 3600 * 1000


class ScriptTestCase(SynchronousTestCase):
    """Each step is done in both engines, and has the same outcome."""

    def setUp(self) -> None:
        self.redis = Redis(short_directory(self)).start()
        self.addCleanup(self.redis.stop)
        self.clock: Any = Clock()
        self.double = MemoryEngine(self.clock)
        add_scripts(self.double)

    def run_script(self, script: LuaScript, keys: Sequence[bytes], *arguments: bytes | int) -> Any:
        """Run a script in both, and return what the real one replies."""
        self.clock.rightNow = time.time()
        words = [each if isinstance(each, bytes) else b"%d" % each for each in arguments]
        expected = self.double.run(script, keys, words)
        reply = self.redis.ask("EVAL", script.text, len(keys), *keys, *words)
        self.assertEqual(_sorted(expected), _sorted(reply), (script.name, arguments))
        return reply

    def call(self, command: str, *arguments: bytes) -> Any:
        """Run a command in both, and return what the real one replies."""
        self.clock.rightNow = time.time()
        expected = self.double.call(command.encode(), arguments)
        reply = self.redis.ask(command, *arguments)
        self.assertEqual(expected, reply, (command, arguments))
        return reply


def _sorted(reply: Any) -> Any:
    """Return a reply with its lists in an order of their own, since that of sets is any."""
    if isinstance(reply, list):
        return sorted(map(_sorted, reply), key=repr)
    return reply


class MembershipScriptTests(ScriptTestCase):
    def renew(self, node: bytes, *known: bytes, keeps_id: int = 0) -> Any:
        keys = b"nodes", b"dead", b"connections", b"versions", b"orphans", b"left:", b"adopted:"
        settings = keeps_id, _LEASE, _OUTAGE, _DAY, b"of " + node, 3
        return self.run_script(RENEW, keys, node, *settings, *known)

    def resign(self, node: bytes) -> None:
        keys = b"nodes", b"dead", b"connections", b"versions", b"orphans"
        self.run_script(RESIGN, (*keys, b"left:" + node, b"adopted:" + node), node)

    def test_lease(self) -> None:
        """A node is new, known, dead, and what it was then."""
        self.assertEqual([1, 1, [b"a"], [], 0, [], [b"3"]], self.renew(b"a"))
        self.renew(b"b")
        self.assertEqual([1, 0], self.renew(b"a", b"b")[:2])
        self.call("HSET", b"left:b", b"client", b"record")
        for _ in range(5):
            time.sleep(0.9)
            reply = self.renew(b"a", b"b")
        self.assertEqual([1, 0, [b"a"], [b"b"], 1, [b"of b"], [b"3"]], reply)
        self.assertEqual([b"a", b"3"], self.redis.ask("HGETALL", b"versions"))
        self.assertEqual([0], self.renew(b"b"))
        self.assertEqual([1, 1], self.renew(b"b", keeps_id=1)[:2])

    def test_outage(self) -> None:
        """After an outage of the engine, each node has a whole lease."""
        for node in (b"a", b"b", b"c"):
            self.renew(node)
        time.sleep(4.3)
        self.assertEqual([b"a", b"b", b"c"], sorted(self.renew(b"a", b"b", b"c")[2]))
        time.sleep(0.8)
        self.assertEqual([b"a", b"b", b"c"], sorted(self.renew(b"a", b"b", b"c")[2]))

    def test_resign(self) -> None:
        self.renew(b"a")
        self.renew(b"b")
        self.resign(b"a")
        self.assertEqual([1, 0, [b"b"], [b"a"], 0, [], [b"3"]], self.renew(b"b", b"a"))
        self.assertEqual(1, self.call("HLEN", b"versions"))
        self.call("HSET", b"adopted:b", b"client", b"record")
        self.resign(b"b")
        self.assertEqual(1, self.renew(b"c")[4])

    def test_node_without_a_version(self) -> None:
        """It has registered none."""
        self.renew(b"a")
        self.call("HDEL", b"versions", b"a")
        nodes, *_, spoken = self.renew(b"b")[2:]
        self.assertEqual({b"a": None, b"b": b"3"}, dict(zip(nodes, spoken, strict=True)))

    def test_clock_set_back(self) -> None:
        """Scores in the future are as good as new ones."""
        self.renew(b"a")
        future = b"%d" % ((time.time() + 3600) * 1000)
        self.call("ZADD", b"nodes", future, b"b")
        self.renew(b"a", b"b")
        score: Any = self.redis.ask("ZSCORE", "nodes", "b")
        self.assertLess(float(score), float(future) - 3_000_000)


class FullEngineTests(SynchronousTestCase):
    """An engine without memory."""

    def setUp(self) -> None:
        self.redis = Redis(short_directory(self)).start()
        self.addCleanup(self.redis.stop)
        self.redis.ask("HSET", "left:a", "client", "record")
        self.redis.ask("SADD", "orphans", "a")
        self.redis.ask("CONFIG", "SET", "maxmemory", "1")

    def run_script(self, script: LuaScript, keys: Sequence[bytes], *arguments: bytes | int) -> Any:
        return self.redis.ask("EVAL", script.text, len(keys), *keys, *arguments)

    def test_leases(self) -> None:
        """They are renewed, and adoption goes on: what it needs is there already."""
        keys = b"nodes", b"dead", b"connections", b"versions", b"orphans", b"left:", b"adopted:"
        reply = self.run_script(RENEW, keys, b"b", 0, _LEASE, _OUTAGE, _DAY, b"of b", 3)
        self.assertEqual([1, 1, [b"b"], [], 1, [], [b"3"]], reply)
        adopted = self.run_script(ADOPT, (b"orphans", b"left:", b"adopted:", b"adopted:b"), 100)
        self.assertEqual([b"client", b"record"], adopted)
        reply = self.run_script(RESIGN, (*keys[:5], b"left:b", b"adopted:b"), b"b")
        self.assertIsNone(reply)
        self.assertEqual(1, self.redis.ask("SCARD", "orphans"))

    def test_records(self) -> None:
        """There is no room for more of them."""
        reply = self.run_script(WRITE, (b"dead", b"left:a"), b"a", b"x", b"y")
        self.assertIn("OOM", str(reply))


class LedgerScriptTests(ScriptTestCase):
    def test_write(self) -> None:
        """Records are written, unless their node was declared dead."""
        keys = b"dead", b"left:a"
        self.assertEqual(1, self.run_script(WRITE, keys, b"a", b"one", b"1", b"two", b"2"))
        self.call("ZADD", b"dead", b"1", b"b")
        self.assertEqual(0, self.run_script(WRITE, (b"dead", b"left:b"), b"b", b"one", b"1"))
        self.assertEqual((2, 0), (self.call("HLEN", b"left:a"), self.call("EXISTS", b"left:b")))
        many = [b"%d" % n for n in range(200)]
        self.assertEqual(1, self.run_script(WRITE, keys, b"a", *many))


class AdoptionScriptTests(ScriptTestCase):
    KEYS = b"orphans", b"left:", b"adopted:", b"adopted:me"

    def test_adopt(self) -> None:
        """All records of all dead nodes are adopted, some at a time, and nothing else is left."""
        records = {}
        for node in (b"left:a", b"adopted:a", b"left:b"):
            for number in range(25):
                name = node + b".%d" % number
                records[name] = b"record of " + name
                self.redis.ask("HSET", node, name, records[name])
        self.redis.ask("SADD", "orphans", "a", "b", "empty")
        found: dict[bytes, bytes] = {}
        counts = []
        while reply := self.redis.ask("EVAL", ADOPT.text, 4, *self.KEYS, 20):
            assert isinstance(reply, list), reply
            adopted = dict(zip(reply[::2], reply[1::2], strict=True))
            self.assertEqual({}, {name: 1 for name in adopted if name in found})
            found.update(adopted)
            counts.append(len(adopted))
        self.assertEqual(([20, 20, 20, 15], records), (counts, found))
        self.assertEqual([b"adopted:me"], self.redis.ask("KEYS", "*"))
        self.assertEqual(75, self.redis.ask("HLEN", "adopted:me"))

    def test_as_the_double(self) -> None:
        self.call("HSET", b"left:a", b"client", b"record")
        self.redis.ask("SADD", "orphans", "a")
        self.double.call(b"HSET", [b"orphans", b"a", b""])
        self.assertEqual([b"client", b"record"], self.run_script(ADOPT, self.KEYS, 20))
        self.assertEqual([], self.run_script(ADOPT, self.KEYS, 20))
        self.assertEqual(1, self.call("HLEN", b"adopted:me"))
        self.assertEqual(0, self.call("EXISTS", b"orphans"))


class TimerScriptTests(ScriptTestCase):
    def claim(self, due: bytes, token: bytes, lock_ms: int = 60_000) -> Any:
        return self.run_script(CLAIM, [b"due:" + due, b"lock"], token, 60_000, lock_ms)

    def test_turns(self) -> None:
        self.assertEqual(b"ours", self.claim(b"1", b"x"))
        self.assertEqual(b"others", self.claim(b"1", b"y"))
        self.assertEqual(b"under way", self.claim(b"2", b"y"))
        self.run_script(UNLOCK, [b"lock"], b"y")
        self.assertEqual(b"under way", self.claim(b"3", b"y"))
        self.run_script(UNLOCK, [b"lock"], b"x")
        self.assertEqual(b"ours", self.claim(b"4", b"y"))

    def test_keep(self) -> None:
        """A lock is kept by the one that has it."""
        self.claim(b"1", b"x", lock_ms=1000)
        self.run_script(KEEP, [b"none", b"lock"], 60_000, b"x", b"y")
        time.sleep(1.1)
        self.assertEqual(b"ours", self.claim(b"2", b"y", lock_ms=1000))
        self.run_script(KEEP, [b"none", b"lock"], 60_000, b"x", b"y")
        time.sleep(1.1)
        self.assertEqual(b"under way", self.claim(b"3", b"x"))
