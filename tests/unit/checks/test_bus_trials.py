"""Tests for :mod:`phpgw.checks.bus_trials`; those with a real engine: test_check_bus."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.bus.connection import EngineError
from phpgw.bus.names import BusNames
from phpgw.checks import bus_trials as module
from phpgw.checks.bus_trials import (
    check_latency,
    check_memory,
    check_permissions,
    check_replicas,
)
from phpgw.checks.finding import Finding, Level
from tests.support.answering_engine import AnsweringEngine, denied, info
from tests.support.checked_situation import brief

_CONF = "redis.conf; at once: redis-cli CONFIG SET with the same words"
_RULES = (
    "resetchannels &app:1:* ~{app:1}:* -@all +@read +@write -@dangerous +hello +ping +publish "
    "+subscribe +unsubscribe +pubsub|numsub +eval +evalsha +time +client|list +client|kill +info"
)


class PermissionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.engine = AnsweringEngine()

    def check(self, user: str = "", *, is_open: bool = False) -> Finding:
        names = BusNames.of("app")
        [found] = check_permissions(self.engine, names, user, is_open=is_open)
        self.assertEqual("bus-permissions", found.id)
        return found

    def deny(self, *commands: str) -> None:
        for each in commands:
            self.engine.replies[each] = EngineError(denied(each.lower().replace(" ", "|")))

    def test_right(self) -> None:
        """Nothing is to be done where all is permitted."""
        found = self.check()
        self.assertEqual((Level.OK, ""), (found.level, found.fix))

    def test_names(self) -> None:
        """It is tried with the channels and keys of the application."""
        self.check()
        commands = {words[0]: words for words in self.engine.commands}
        self.assertEqual(("PUBLISH", b"app:1:check", ""), commands["PUBLISH"])
        self.assertEqual(("SUBSCRIBE", b"app:1:check"), commands["SUBSCRIBE"])
        self.assertEqual(("UNSUBSCRIBE", b"app:1:check"), commands["UNSUBSCRIBE"])
        self.assertEqual((1, b"{app:1}:check"), commands["EVAL"][2:])

    def test_needed(self) -> None:
        """Each command that gateways cannot do without is named alone."""
        for command, name in (
            ("PUBLISH", "publish"),
            ("PUBSUB NUMSUB", "pubsub|numsub"),
            ("EVAL", "eval, and writing"),
            ("SUBSCRIBE", "subscribe"),
            ("UNSUBSCRIBE", "subscribe"),
        ):
            self.engine = AnsweringEngine()
            self.deny(command)
            found = self.check()
            self.assertEqual(Level.WRONG, found.level)
            self.assertTrue(found.what.endswith(f"what gateways need: {name}"), found.what)
            self.assertIn("NOPERM", found.seen)

    def test_rules(self) -> None:
        """The rules name the user, or an example, and the application's channels and keys."""
        self.deny("PUBLISH", "EVAL")
        found = self.check("gateway")
        self.assertEqual(f"ACL SETUSER gateway on >PASSWORD {_RULES}", found.fix)
        self.assertIn("ACL SAVE", found.where)
        self.assertIn("publish, eval, and writing", found.what)
        self.assertEqual(2, found.seen.count("NOPERM"))
        self.assertEqual(f"ACL SETUSER phpgw on >PASSWORD {_RULES}", self.check().fix)

    def test_helpful(self) -> None:
        """What gateways can do without is a warning, with the same rules."""
        self.deny("CLIENT LIST", "CLIENT KILL", "INFO")
        found = self.check("gateway")
        self.assertEqual(Level.WARN, found.level)
        self.assertTrue(found.what.endswith("client|list, client|kill, info"), found.what)
        self.assertEqual(f"ACL SETUSER gateway on >PASSWORD {_RULES}", found.fix)
        self.assertEqual(3, found.seen.count("NOPERM"))

    def test_needed_before_helpful(self) -> None:
        """What is needed is told first."""
        self.deny("INFO", "PUBLISH")
        self.assertEqual(Level.WRONG, self.check().level)

    def test_within_a_script(self) -> None:
        """What a script may not do is seen, too, though the engine says it in other words."""
        text = "ERR The user executing the script can't run this command or subcommand"
        self.engine = AnsweringEngine(EVAL=EngineError(text))
        found = self.check()
        self.assertEqual(Level.WRONG, found.level)
        self.assertTrue(found.what.endswith("eval, and writing"), found.what)

    def test_other_errors(self) -> None:
        """An engine that is full, or loads its data, says nothing of permissions."""
        for text in ("OOM command not allowed", "LOADING Redis is loading the dataset in memory"):
            error = EngineError(text)
            self.engine = AnsweringEngine(EVAL=error, PUBLISH=error, INFO=error)
            self.assertEqual(Level.OK, self.check().level)

    def test_scripts(self) -> None:
        """What a script is denied is a matter of permissions, too."""
        self.engine.replies["EVAL"] = EngineError(
            "ERR ACL failure in script: User app has no permissions to run the 'hset' command"
        )
        self.assertEqual(Level.WRONG, self.check().level)

    def test_open(self) -> None:
        """An engine on the network should ask for a password."""
        found = self.check(is_open=True)
        self.assertEqual((Level.WARN, "requirepass PASSWORD"), (found.level, found.fix))
        self.assertIn("--bus-password-file", found.where)

    def test_open_and_denied(self) -> None:
        """What is denied is told before that there is no password."""
        self.deny("INFO")
        self.assertIn("info", self.check(is_open=True).what)


class MemoryTests(SynchronousTestCase):
    def check(
        self, limit: int = 0, used: int = 1, policy: str = "noeviction", evicted: int = 0
    ) -> Finding:
        memory = info(maxmemory=limit, used_memory=used, maxmemory_policy=policy)
        return self.check_replies(memory, info(evicted_keys=evicted))

    def check_replies(self, memory: object, stats: object) -> Finding:
        engine = AnsweringEngine(**{"INFO memory": memory, "INFO stats": stats})
        found = check_memory(engine)
        self.assertEqual("bus-memory", found.id)
        return found

    def test_right(self) -> None:
        """All is kept without a limit, or below one."""
        for found in (self.check(), self.check(policy="allkeys-lru"), self.check(1000, 900)):
            self.assertEqual((Level.OK, ""), (found.level, found.fix))
        self.assertEqual("maxmemory 1000, used_memory 900, noeviction, evicted_keys 0", found.seen)

    def test_evicting(self) -> None:
        """An engine that drops data when it is full is wrong, full or not."""
        for policy in ("allkeys-lru", "volatile-ttl"):
            for used in (1, 1000):
                found = self.check(1000, used, policy)
                self.assertEqual(Level.WRONG, found.level)
                self.assertIn(f"({policy})", found.what)
                self.assertEqual(("maxmemory-policy noeviction", _CONF), (found.fix, found.where))

    def test_nearly_full(self) -> None:
        """More than nine tenths are a warning, and the line doubles the limit."""
        found = self.check(1000, 951)
        self.assertEqual(Level.WARN, found.level)
        self.assertIn("full to 95%", found.what)
        self.assertEqual(("maxmemory 2000", _CONF), (found.fix, found.where))

    def test_evicted(self) -> None:
        """Keys that were dropped before are a note, and there is nothing to do."""
        found = self.check(evicted=12)
        self.assertEqual((Level.NOTE, ""), (found.level, found.fix))
        self.assertIn("12 keys", found.what)

    def test_no_count_of_evicted_keys(self) -> None:
        """An engine that does not count them has dropped none."""
        memory = info(maxmemory=0, used_memory=1, maxmemory_policy="noeviction")
        self.assertEqual(Level.OK, self.check_replies(memory, info()).level)

    def test_skipped(self) -> None:
        """Without INFO, or with another one, the memory is not looked at."""
        memory = info(maxmemory="much", used_memory=1, maxmemory_policy="noeviction")
        for reply in (EngineError(denied("info")), info(), memory, b"\xff"):
            found = self.check_replies(reply, info())
            self.assertEqual(Level.SKIPPED, found.level)
            self.assertIn("+info", found.why)


class ReplicaTests(SynchronousTestCase):
    def check(self, reply: object) -> Finding:
        found = check_replicas(AnsweringEngine(**{"INFO replication": reply}))
        self.assertEqual("bus-replicas", found.id)
        return found

    def test_not_limited(self) -> None:
        """A master should take no data when it is cut off, however many replicas it has."""
        for replicas in (0, 3):
            found = self.check(info(connected_slaves=replicas))
            self.assertEqual((Level.WARN, "min-replicas-to-write 1"), (found.level, found.fix))
            self.assertIn("min-replicas-max-lag 3", found.where)

    def test_few(self) -> None:
        """With fewer than two replicas, the loss of one stops the bus."""
        for replicas, text in ((0, "0 replicas"), (1, "1 replica")):
            found = self.check(info(connected_slaves=replicas, min_slaves_good_slaves=replicas))
            self.assertEqual((Level.NOTE, "replicaof MASTER 6379"), (found.level, found.fix))
            self.assertEqual(f"The master has {text}", found.what)

    def test_right(self) -> None:
        found = self.check(info(connected_slaves=2, min_slaves_good_slaves=2))
        self.assertEqual((Level.OK, ""), (found.level, found.fix))
        self.assertIn("2 replicas", found.what)

    def test_skipped(self) -> None:
        """Without INFO, or with another one, the replicas are not looked at."""
        for reply in (EngineError(denied("info")), info(), info(connected_slaves="some")):
            found = self.check(reply)
            self.assertEqual(Level.SKIPPED, found.level)
            self.assertIn("+info", found.why)


class _Slow(AnsweringEngine):
    """An engine that takes its time for replies.

    :param durations: in seconds, for one reply after another.
    """

    def __init__(self, clock: Clock, durations: Iterable[float]) -> None:
        super().__init__()
        self._clock = clock
        self._durations = iter(durations)

    def ask(self, *words: bytes | int | str) -> Any:
        self._clock.advance(next(self._durations))
        return super().ask(*words)


class LatencyTests(SynchronousTestCase):
    def check(self, *durations: float) -> Finding:
        clock = Clock()
        self.patch(module, "time", SimpleNamespace(monotonic=clock.seconds))
        engine = _Slow(clock, durations)
        found = check_latency(engine)
        self.assertEqual([("PING",)] * 20, engine.commands)
        return found

    def test_levels(self) -> None:
        """An engine is near, some way off, or slow."""
        for seconds, level in (
            (0.001, Level.OK),
            (0.006, Level.NOTE),
            (0.049, Level.NOTE),
            (0.051, Level.WARN),
        ):
            found = self.check(*[seconds] * 20)
            self.assertEqual(("bus-latency", level), brief(found))
            fix = "" if level is Level.OK else "redis-cli --latency"
            self.assertEqual(fix, found.fix)
            self.assertIn(f"({1000 * seconds:.1f} ms, ", found.what)

    def test_longest(self) -> None:
        """What is usual counts, and the longest is told."""
        found = self.check(1.0, *[0.001] * 19)
        self.assertEqual(Level.OK, found.level)
        self.assertIn("(1.0 ms, 1000.0 ms at most of 20)", found.what)
